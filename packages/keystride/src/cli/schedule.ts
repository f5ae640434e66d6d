import type { Command } from 'commander';
import { scheduleBackfillCommand } from './schedule/backfill.ts';
import {
  scheduleDeleteCommand,
  schedulePauseCommand,
  scheduleTriggerCommand,
  scheduleUnpauseCommand,
} from './schedule/controls.ts';
import { scheduleCreateCommand } from './schedule/create.ts';
import { scheduleDescribeCommand, scheduleListCommand } from './schedule/show.ts';

const help = `
A schedule is one of Temporal's own. Its action starts the workflow scheduledJob, which resolves the dates in the
parameters from the time for which it was scheduled, in the time zone of the schedule, starts the job under its instance
id, and lasts as long as the job does. What is running or complete already is not run again.

Examples:
  $ keystride schedule create purchaseConfirmation --cron "0 2 * * *" --timezone Asia/Seoul \\
      --param 'deliveredBefore={{scheduled-7d}}'
  $ keystride schedule list
  $ keystride schedule backfill purchaseConfirmation --from 2025-10-01 --to 2025-10-05`;

/** `keystride schedule`: jobs at their times. */
export function scheduleCommand(command: Command): Command {
  command.addHelpText('after', help);
  const actions = [
    [scheduleCreateCommand(), scheduleListCommand(), scheduleDescribeCommand()],
    [schedulePauseCommand(), scheduleUnpauseCommand(), scheduleTriggerCommand()],
    [scheduleBackfillCommand(), scheduleDeleteCommand()],
  ];
  for (const action of actions.flat()) command.addCommand(action);
  return command;
}
