import { ScheduleOverlapPolicy } from '@temporalio/client';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../called-as.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import type { Session } from '../connection.ts';
import { count } from '../format.ts';
import { enterScheduleChange, type ScheduleAuthor } from './enter.ts';
import { timesInRange } from './range.ts';
import { asFound, inputOf, type NextAction, nextActions } from './read.ts';

/** Days whose actions are to be taken, both included, in the schedule's time zone. */
export interface BackfillRange {
  readonly from: string;
  readonly to: string;
  /** All at once, instead of one after another. */
  readonly parallel?: true | undefined;
}

/** What a backfill takes. */
export interface Backfilled {
  readonly scheduleId: string;
  readonly timeZone: string;
  readonly mode: 'one-at-a-time' | 'parallel';
  /** The times of the schedule in these days, in order. */
  readonly actions: readonly NextAction[];
}

/** Temporal buffers no more actions than these, and would leave the rest out. */
const mostActions = 1000;

/**
 * Takes the actions of days that have passed.
 * @throws CommandError when there is no such schedule, no action in these days, or more than Temporal takes
 */
export async function backfillSchedule(
  session: Session,
  scheduleId: string,
  range: BackfillRange,
  author: ScheduleAuthor,
): Promise<Backfilled> {
  const { from, to, parallel } = range;
  const handle = session.client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  const timeZone = found.spec.timezone || 'UTC';
  const { after, until, times } = await timesInRange(session, scheduleId, timeZone, range);
  refuse(times.length, scheduleId, range);
  const overlap = parallel ? ScheduleOverlapPolicy.ALLOW_ALL : ScheduleOverlapPolicy.BUFFER_ALL;
  await handle.backfill({ start: after, end: until, overlap });
  const input = inputOf(found);
  const mode = parallel ? 'parallel' : 'one-at-a-time';
  await enterScheduleChange(author, {
    ...{ action: 'schedule backfill', scheduleId, job: input.job },
    after: { from, to, mode, actions: times.length },
  });
  return {
    scheduleId,
    timeZone,
    mode,
    actions: await nextActions(input, times, found.spec.jitter ?? 0, session.config),
  };
}

function refuse(actions: number, scheduleId: string, { from, to }: BackfillRange): void {
  if (actions > 0 && actions <= mostActions) return;
  throw new CommandError(
    actions === 0
      ? {
          what: `schedule ${scheduleId} has no action from ${from} to ${to}`,
          todo: `See its times: ${keystride} schedule describe ${shellWord(scheduleId)}`,
        }
      : {
          what: `schedule ${scheduleId} has ${count(actions)} actions from ${from} to ${to}`,
          todo: `Backfill fewer days at a time: Temporal takes ${count(mostActions)} actions at once.`,
        },
    {
      exitCode: exitCodes.usage,
      type: actions === 0 ? 'NothingToBackfill' : 'TooManyActions',
      details: { scheduleId },
    },
  );
}
