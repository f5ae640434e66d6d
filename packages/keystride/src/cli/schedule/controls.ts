import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { Command } from 'commander';
import { withSession, type Session } from '../connection.ts';
import { shellWord } from '../../contract/shell.ts';
import { plain } from '../format.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { asFound, describeSchedule, type TakenAction } from './read.ts';
import { keystride } from '../called-as.ts';

interface PauseOptions extends OutputOptions {
  reason?: string;
}

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
  return new Command(control)
    .description(description)
    .argument('<id>', "the schedule's id")
    .option('--reason <text>', 'kept as the note of the schedule')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (scheduleId: string, { reason, output }: PauseOptions) => {
      const paused = control === 'pause';
      const note = await withSession(async ({ client }) => {
        const handle = client.schedule.getHandle(scheduleId);
        const { state } = await asFound(scheduleId, () => handle.describe());
        // Doing again what is done keeps the reason for which it was done.
        if (state.paused === paused && reason === undefined) return state.note ?? '';
        const told = reason ?? `${control}d by an operator`;
        await handle[control](told);
        return told;
      });
      if (output === 'json') return printJson({ scheduleId, paused, note });
      printLine(`${scheduleId}: ${paused ? 'paused' : 'active'}${note === '' ? '' : `: ${plain(note)}`}`);
    });
}

/** `keystride schedule trigger`: one action now. */
export function scheduleTriggerCommand(): Command {
  return new Command('trigger')
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

async function trigger(scheduleId: string, { output }: OutputOptions): Promise<void> {
  await withSession(async (session) => {
    const { taken } = await describeSchedule(session, scheduleId, 0);
    // The claim keeps one run an instance, so an action that runs already is no reason to leave this one out.
    await session.client.schedule.getHandle(scheduleId).trigger(ScheduleOverlapPolicy.ALLOW_ALL);
    const action = await untilTaken(session, scheduleId, taken);
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
  return new Command('delete')
    .description('delete a schedule; what it has started goes on')
    .argument('<id>', "the schedule's id")
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Example:
  $ keystride schedule delete purchaseConfirmation`,
    )
    .action(async (scheduleId: string, { output }: OutputOptions) => {
      await withSession(({ client }) =>
        asFound(scheduleId, () => client.schedule.getHandle(scheduleId).delete()),
      );
      if (output === 'json') return printJson({ scheduleId, deleted: true });
      printLine(`deleted ${scheduleId}; what it has started goes on`);
    });
}
