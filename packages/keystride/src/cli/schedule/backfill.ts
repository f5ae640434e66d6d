import { Command, InvalidArgumentError, Option } from 'commander';
import { startOfDay } from '../../contract/date-expressions.ts';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../../operator/called-as.ts';
import { withSession } from '../../operator/connection.ts';
import { count, plain } from '../../operator/format.ts';
import { backfillSchedule } from '../../operator/schedules/backfill.ts';
import { localTime } from '../../operator/schedules/read.ts';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { scheduleAuthor } from './author.ts';

interface BackfillOptions extends OutputOptions, AuthorOptions {
  from: string;
  to: string;
  oneAtATime?: true;
  parallel?: true;
}

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
  const backfilled = await withSession((session) =>
    backfillSchedule(session, scheduleId, options, scheduleAuthor(options)),
  );
  if (options.output === 'json') return printJson(backfilled);
  const { actions, mode, timeZone } = backfilled;
  const how = mode === 'parallel' ? 'in parallel' : 'one at a time';
  printLine(`backfilling ${scheduleId}: ${count(actions.length)} actions, ${how}`);
  for (const { at, instance } of actions.slice(0, 20))
    printLine(`  ${localTime(at, timeZone)}  ${plain(instance ?? '')}`.trimEnd());
  if (actions.length > 20) printLine(`  … and ${count(actions.length - 20)} more`);
  printLine(`  next  ${keystride} schedule describe ${shellWord(scheduleId)}`);
}
