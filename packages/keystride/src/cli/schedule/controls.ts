import { setTimeout as delay } from 'node:timers/promises';
import { type Client, ScheduleOverlapPolicy } from '@temporalio/client';
import { Command } from 'commander';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { withSession, type Session } from '../connection.ts';
import { shellWord } from '../../contract/shell.ts';
import { plain } from '../format.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { enterScheduleChange } from './enter.ts';
import { asFound, cronOf, describeSchedule, inputOf, type TakenAction } from './read.ts';
import { keystride } from '../called-as.ts';

interface ChangeOptions extends OutputOptions, AuthorOptions {}

/** `keystride schedule pause`: no actions until it is unpaused. */
export function schedulePauseCommand(): Command {
  const help = `
What runs goes on. Actions that fall due meanwhile are not made up for; backfill does that.

Example:
  $ keystride schedule pause purchaseConfirmation --reason "books are being closed"`;
  return pausing('pause', 'take no more actions until it is unpaused', help);
}

/** `keystride schedule unpause`: actions are taken again. */
export function scheduleUnpauseCommand(): Command {
  const help = `
Example:
  $ keystride schedule unpause purchaseConfirmation`;
  return pausing('unpause', 'take actions again', help);
}

function pausing(control: 'pause' | 'unpause', description: string, help: string): Command {
  return withAuthor(new Command(control), 'kept as the note of the schedule, and in the audit')
    .description(description)
    .argument('<id>', "the schedule's id")
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (scheduleId: string, { output, ...author }: ChangeOptions) => {
      const paused = control === 'pause';
      const note = await withSession(({ client }) => setPaused(client, scheduleId, control, author));
      if (output === 'json') return printJson({ scheduleId, paused, note });
      printLine(`${scheduleId}: ${paused ? 'paused' : 'active'}${note === '' ? '' : `: ${plain(note)}`}`);
    });
}

/** @returns the note that the schedule has now. */
async function setPaused(
  client: Client,
  scheduleId: string,
  control: 'pause' | 'unpause',
  author: AuthorOptions,
): Promise<string> {
  const paused = control === 'pause';
  const handle = client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  const { state } = found;
  // Doing again what is done keeps the reason for which it was done.
  if (state.paused === paused && !author.reason) return state.note ?? '';
  const note = author.reason || `${control}d by an operator`;
  await handle[control](note);
  await enterScheduleChange({
    ...author,
    ...{ action: `schedule ${control}`, scheduleId, job: inputOf(found).job },
    before: { paused: state.paused, note: state.note ?? '' },
    after: { paused, note },
  });
  return note;
}

/** `keystride schedule trigger`: one action now. */
export function scheduleTriggerCommand(): Command {
  return withAuthor(new Command('trigger'))
    .description('take one action now, whatever the times and the state')
    .argument('<id>', "the schedule's id")
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Its scheduled time is now: {{scheduled}} is today, in the schedule's time zone. For another day: schedule backfill.

Example:
  $ keystride schedule trigger purchaseConfirmation`,
    )
    .action(trigger);
}

async function trigger(scheduleId: string, { output, ...author }: ChangeOptions): Promise<void> {
  await withSession(async (session) => {
    const { taken, job } = await describeSchedule(session, scheduleId, 0);
    // The claim keeps one run an instance, so an action that runs already is no reason to leave this one out.
    await session.client.schedule.getHandle(scheduleId).trigger(ScheduleOverlapPolicy.ALLOW_ALL);
    const action = await untilTaken(session, scheduleId, taken);
    const after = { instance: action?.instance ?? null };
    await enterScheduleChange({ ...author, action: 'schedule trigger', scheduleId, job, after });
    if (output === 'json') return printJson({ scheduleId, action: action ?? null });
    printLine(`triggered ${scheduleId}`);
    if (action?.instance) printLine(`  next  ${keystride} status ${shellWord(action.instance)} --watch`);
    printLine(
      `  ${action?.instance ? '    ' : 'next'}  ${keystride} schedule describe ${shellWord(scheduleId)}`,
    );
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

/** `keystride schedule delete`: the schedule goes, its runs stay. */
export function scheduleDeleteCommand(): Command {
  return withAuthor(new Command('delete'))
    .description('delete a schedule; what it has started goes on')
    .argument('<id>', "the schedule's id")
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Example:
  $ keystride schedule delete purchaseConfirmation`,
    )
    .action(async (scheduleId: string, { output, ...author }: ChangeOptions) => {
      await withSession(({ client }) => deleteSchedule(client, scheduleId, author));
      if (output === 'json') return printJson({ scheduleId, deleted: true });
      printLine(`deleted ${scheduleId}; what it has started goes on`);
    });
}

async function deleteSchedule(client: Client, scheduleId: string, author: AuthorOptions): Promise<void> {
  const handle = client.schedule.getHandle(scheduleId);
  const found = await asFound(scheduleId, () => handle.describe());
  await asFound(scheduleId, () => handle.delete());
  const before = { cron: cronOf(found), timeZone: found.spec.timezone || 'UTC', paused: found.state.paused };
  const { job } = inputOf(found);
  await enterScheduleChange({ ...author, action: 'schedule delete', scheduleId, job, before });
}
