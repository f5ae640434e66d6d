import { Command } from 'commander';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../../operator/called-as.ts';
import { withSession } from '../../operator/connection.ts';
import { plain } from '../../operator/format.ts';
import { deleteSchedule, pauseSchedule, triggerSchedule } from '../../operator/schedules/control.ts';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { scheduleAuthor } from './author.ts';

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
      const note = await withSession((session) =>
        pauseSchedule(session, scheduleId, control, scheduleAuthor(author)),
      );
      if (output === 'json') return printJson({ scheduleId, paused, note });
      printLine(`${scheduleId}: ${paused ? 'paused' : 'active'}${note === '' ? '' : `: ${plain(note)}`}`);
    });
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
  const action = await withSession((session) => triggerSchedule(session, scheduleId, scheduleAuthor(author)));
  if (output === 'json') return printJson({ scheduleId, action: action ?? null });
  printLine(`triggered ${scheduleId}`);
  if (action?.instance) printLine(`  next  ${keystride} status ${shellWord(action.instance)} --watch`);
  printLine(
    `  ${action?.instance ? '    ' : 'next'}  ${keystride} schedule describe ${shellWord(scheduleId)}`,
  );
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
      await withSession((session) => deleteSchedule(session, scheduleId, scheduleAuthor(author)));
      if (output === 'json') return printJson({ scheduleId, deleted: true });
      printLine(`deleted ${scheduleId}; what it has started goes on`);
    });
}
