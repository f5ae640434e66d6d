import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import type { Session } from '../connection.ts';
import { enterScheduleChange, type ScheduleAuthor } from './enter.ts';
import { asFound, cronOf, describeSchedule, inputOf, type TakenAction } from './read.ts';

/**
 * Pauses a schedule, or lets it go on. Doing again what is done keeps the reason for which it was done.
 * @returns the note of the schedule
 * @throws CommandError when there is no such schedule
 */
export async function pauseSchedule(
  { client }: Session,
  scheduleId: string,
  control: 'pause' | 'unpause',
  author: ScheduleAuthor,
): Promise<string> {
  const handle = client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  const { state } = found;
  const paused = control === 'pause';
  if (state.paused === paused && author.reason === undefined) return state.note ?? '';
  const note = author.reason ?? `${control}d by an operator`;
  await handle[control](note);
  await enterScheduleChange(author, {
    ...{ action: `schedule ${control}`, scheduleId, job: inputOf(found).job },
    before: { paused: state.paused, note: state.note ?? '' },
    after: { paused, note },
  });
  return note;
}

/**
 * Takes one action of a schedule now, whatever its times and its state.
 * @returns the action; undefined where Temporal has not taken it within five seconds
 * @throws CommandError when there is no such schedule
 */
export async function triggerSchedule(
  session: Session,
  scheduleId: string,
  author: ScheduleAuthor,
): Promise<TakenAction | undefined> {
  const { taken, job } = await describeSchedule(session, scheduleId, 0);
  // The claim keeps one run an instance, so an action that runs already is no reason to leave this one out.
  await session.client.schedule.getHandle(scheduleId).trigger(ScheduleOverlapPolicy.ALLOW_ALL);
  const action = await untilTaken(session, scheduleId, taken);
  const after = { instance: action?.instance ?? null };
  await enterScheduleChange(author, { action: 'schedule trigger', scheduleId, job, after });
  return action;
}

/** @throws CommandError when there is no such schedule */
export async function deleteSchedule(
  { client }: Session,
  scheduleId: string,
  author: ScheduleAuthor,
): Promise<void> {
  const handle = client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  await asFound(scheduleId, () => handle.delete());
  const before = { cron: cronOf(found), timeZone: found.spec.timezone || 'UTC', paused: found.state.paused };
  await enterScheduleChange(author, {
    ...{ action: 'schedule delete', scheduleId, job: inputOf(found).job, before },
  });
}

/** How long a trigger waits for Temporal to take the action, in milliseconds. */
const takenWithin = 5_000;

async function untilTaken(
  session: Session,
  scheduleId: string,
  before: number,
): Promise<TakenAction | undefined> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < takenWithin) {
    const { taken, last } = await describeSchedule(session, scheduleId, 1);
    if (taken > before) return last[0];
    await delay(100);
  }
  return undefined;
}
