import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import type { Session } from '../connection.ts';
import { asFound, describeSchedule, type TakenAction } from './read.ts';

/**
 * Pauses a schedule, or lets it go on. Doing again what is done keeps the reason for which it was done.
 * @returns the note of the schedule
 * @throws CommandError when there is no such schedule
 */
export async function pauseSchedule(
  { client }: Session,
  scheduleId: string,
  control: 'pause' | 'unpause',
  reason?: string,
): Promise<string> {
  const handle = client.schedule.getHandle(scheduleId);
  const { state } = await asFound(scheduleId, () => handle.describe());
  if (state.paused === (control === 'pause') && reason === undefined) return state.note ?? '';
  const told = reason ?? `${control}d by an operator`;
  await handle[control](told);
  return told;
}

/**
 * Takes one action of a schedule now, whatever its times and its state.
 * @returns the action; undefined where Temporal has not taken it within five seconds
 * @throws CommandError when there is no such schedule
 */
export async function triggerSchedule(
  session: Session,
  scheduleId: string,
): Promise<TakenAction | undefined> {
  const { taken } = await describeSchedule(session, scheduleId, 0);
  // The claim keeps one run an instance, so an action that runs already is no reason to leave this one out.
  await session.client.schedule.getHandle(scheduleId).trigger(ScheduleOverlapPolicy.ALLOW_ALL);
  return untilTaken(session, scheduleId, taken);
}

/** @throws CommandError when there is no such schedule */
export async function deleteSchedule({ client }: Session, scheduleId: string): Promise<void> {
  await asFound(scheduleId, () => client.schedule.getHandle(scheduleId).delete());
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
