import { ScheduleOverlapPolicy } from '@temporalio/client';
import { Command, InvalidArgumentError, Option } from 'commander';
import { dayAfter, startOfDay } from '../../contract/date-expressions.ts';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { withSession, type Session } from '../connection.ts';
import { shellWord } from '../../contract/shell.ts';
import { count, plain } from '../format.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { CommandError, exitCodes, printJson, printLine } from '../output.ts';
import { matchingTimes } from './clocks.ts';
import { enterScheduleChange } from './enter.ts';
import { asFound, inputOf, localTime, type NextAction, nextActions } from './read.ts';
import { keystride } from '../called-as.ts';

interface BackfillOptions extends OutputOptions, AuthorOptions {
  from: string;
  to: string;
  oneAtATime?: true;
  parallel?: true;
}

interface Backfilled {
  readonly scheduleId: string;
  readonly timeZone: string;
  readonly mode: 'one-at-a-time' | 'parallel';
  /** The times of the schedule in these days, in order. */
  readonly actions: readonly NextAction[];
}

/** Temporal buffers no more actions than these, and would leave the rest out. */
const mostActions = 1000;

const help = `
The actions that the schedule has in these days, both included, in its time zone. One at a time they run in order, each
when the one before it has ended, failed or not; in parallel all begin at once. A date that has completed is not run
again, so a backfill may be repeated: what failed goes on, the rest is found complete. A paused schedule is backfilled
like any other. While a backfill runs one at a time, overlap skip leaves out what falls due.

Examples:
  $ keystride schedule backfill purchaseConfirmation --from 2025-10-01 --to 2025-10-05
  $ keystride schedule backfill purchaseConfirmation --from 2025-10-01 --to 2025-10-05 --parallel

The same without keystride:
  $ temporal schedule backfill --schedule-id purchaseConfirmation --overlap-policy BufferAll \\
      --start-time 2025-09-30T15:00:00Z --end-time 2025-10-05T14:59:59Z`;

/** `keystride schedule backfill`: the actions of days that have passed. */
export function scheduleBackfillCommand(): Command {
  return withAuthor(new Command('backfill'))
    .description('run the actions of days that have passed')
    .argument('<id>', "the schedule's id")
    .requiredOption('--from <date>', 'the first day, such as 2025-10-01', aDate)
    .requiredOption('--to <date>', 'the last day', aDate)
    .addOption(new Option('--one-at-a-time', 'in order (default)').conflicts('parallel'))
    .option('--parallel', 'all at once')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(backfill);
}

function aDate(text: string): string {
  try {
    startOfDay(text, 'UTC');
    return text;
  } catch {
    throw new InvalidArgumentError('A date is wanted, such as 2025-10-01.');
  }
}

async function backfill(scheduleId: string, options: BackfillOptions): Promise<void> {
  const backfilled = await withSession((session) => start(session, scheduleId, options));
  if (options.output === 'json') return printJson(backfilled);
  const { actions, mode, timeZone } = backfilled;
  const how = mode === 'parallel' ? 'in parallel' : 'one at a time';
  printLine(`backfilling ${scheduleId}: ${count(actions.length)} actions, ${how}`);
  for (const { at, instance } of actions.slice(0, 20))
    printLine(`  ${localTime(at, timeZone)}  ${plain(instance ?? '')}`.trimEnd());
  if (actions.length > 20) printLine(`  … and ${count(actions.length - 20)} more`);
  printLine(`  next  ${keystride} schedule describe ${shellWord(scheduleId)}`);
}

async function start(session: Session, scheduleId: string, options: BackfillOptions): Promise<Backfilled> {
  const { from, to, parallel } = options;
  const handle = session.client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  const timeZone = found.spec.timezone || 'UTC';
  // Temporal takes the start as not included and the end as included.
  const after = new Date(startOfDay(from, timeZone).getTime() - 1000);
  const until = new Date(startOfDay(dayAfter(to), timeZone).getTime() - 1000);
  const times = from > to ? [] : await matchingTimes(session, scheduleId, after, until);
  refuse(times.length, scheduleId, options);
  const overlap = parallel ? ScheduleOverlapPolicy.ALLOW_ALL : ScheduleOverlapPolicy.BUFFER_ALL;
  await handle.backfill({ start: after, end: until, overlap });
  const input = inputOf(found);
  const mode = parallel ? 'parallel' : 'one-at-a-time';
  await enterScheduleChange({
    ...{ action: 'schedule backfill', scheduleId, job: input.job },
    ...{ reason: options.reason, operator: options.operator },
    after: { from, to, mode, actions: times.length },
  });
  return {
    scheduleId,
    timeZone,
    mode,
    actions: await nextActions(input, times, found.spec.jitter ?? 0),
  };
}

function refuse(actions: number, scheduleId: string, { from, to }: BackfillOptions): void {
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
