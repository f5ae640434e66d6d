import { Command, Option } from 'commander';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../../operator/called-as.ts';
import { withSession } from '../../operator/connection.ts';
import { plain } from '../../operator/format.ts';
import { createSchedule, type OverlapName, overlapPolicies } from '../../operator/schedules/create.ts';
import { type DescribedSchedule, localTime } from '../../operator/schedules/read.ts';
import { jobNamed } from '../../operator/start.ts';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { chosenId, collect, outputOption, timeSpan, type OutputOptions } from '../options.ts';
import { printJson, printLine, progressLine } from '../output.ts';
import { type ParameterOptions, parametersOf, withParameters } from '../parameters.ts';
import { scheduleAuthor } from './author.ts';

interface CreateOptions extends OutputOptions, AuthorOptions, ParameterOptions {
  cron: string[];
  timezone: string;
  id?: string;
  overlap: OverlapName;
  catchupWindow?: number;
  pauseOnFailure?: true;
  jitter?: number;
  paused?: true;
  note?: string;
}

const help = `
Date expressions in parameters, resolved from the time for which an action is scheduled, in the schedule's time zone:
  {{scheduled}}  {{scheduled-1d}}  {{scheduled+2w}}  {{scheduled-1month}}  {{scheduled-1y}}    as 2025-10-01
  {{scheduled-1month:yyyy-MM}}  {{scheduled:yyyyMMdd}}    in a format of yyyy, MM and dd
  {{scheduled:iso}}  {{scheduled:epoch}}    the time itself, in UTC or in seconds since 1970

Overlap, when an action is due while the one before it still runs:
  skip             leave it out; a later backfill can make up for it
  buffer-one       start it afterwards, one at the most; buffer-all: however many
  cancel-other     stop what runs, gracefully; terminate-other: at once
  allow-all        run both

Times are Temporal's: a day has to be right by date and by weekday, seconds and years are not taken. What would surprise
is told when the schedule is made, with the next times.

Examples:
  $ keystride schedule create purchaseConfirmation --cron "0 2 * * *" --timezone Asia/Seoul \\
      --param 'deliveredBefore={{scheduled-7d}}' --pause-on-failure
  $ keystride schedule create targetSync --cron "*/15 * * * *" --param 'run={{scheduled:epoch}}' --id sync`;

/** `keystride schedule create`: checks the job, its dates and its parameters, then makes the schedule. */
export function scheduleCreateCommand(): Command {
  const command = new Command('create');
  return withParameters(withAuthor(command), 'a parameter, which may hold date expressions; repeatable')
    .description('make a schedule')
    .argument('<job>', 'its name, see `keystride jobs`')
    .requiredOption(
      '--cron <times>',
      'five fields: minute hour day month weekday; or @daily, @every 90m, …; repeatable',
      collect,
    )
    .option('--timezone <zone>', 'in which times and dates are meant, an IANA name', 'UTC')
    .option('--id <id>', "the schedule's id; otherwise the job's name", chosenId)
    .addOption(overlapOption().default('skip'))
    .option(
      '--catchup-window <span>',
      'how late an action may still begin; otherwise 1 year (365d)',
      timeSpan,
    )
    .option('--pause-on-failure', 'pause the schedule when a run fails')
    .option('--jitter <span>', 'begin up to so much later, at random', timeSpan)
    .option('--paused', 'make it paused')
    .option('--note <text>', 'shown wherever the schedule is')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(create);
}

/** `--overlap`, with the names of the command line. */
function overlapOption(): Option {
  return new Option('--overlap <policy>', 'when the run before still runs').choices(
    Object.keys(overlapPolicies),
  );
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const job = await jobNamed(name, 'Schedule');
  const { output, id: scheduleId = job.name, timezone: timeZone, ...rest } = options;
  const parameters = await parametersOf(job, options);
  const request = { ...rest, scheduleId, timeZone, parameters };
  const created = await withSession((session) =>
    createSchedule(session, job, request, scheduleAuthor(options)),
  );
  if (output === 'json') return printJson(created);
  announce(created);
  for (const warning of created.warnings) progressLine(`  note  ${warning}`);
}

function announce(created: DescribedSchedule): void {
  const id = shellWord(created.scheduleId);
  const { timeZone, next, paused } = created;
  printLine(`schedule ${created.scheduleId}${paused ? '  paused' : ''}`);
  for (const { at, instance } of next.slice(0, 3))
    printLine(`  next  ${localTime(at, timeZone)}  ${plain(instance ?? '')}`);
  printLine(`  see   ${keystride} schedule describe ${id}`);
  printLine(`        ${keystride} schedule trigger ${id}`);
  printLine(`        ${keystride} schedule ${paused ? 'unpause' : 'pause'} ${id}`);
}
