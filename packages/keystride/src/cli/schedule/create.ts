import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import { Command, Option } from 'commander';
import { startOfDay } from '../../contract/date-expressions.ts';
import { inMarkdown } from '../../contract/inert.ts';
import type { JobDefinition } from '../../contract/job.ts';
import { parametersFromText } from '../../contract/parameters.ts';
import { resolveRun, type ScheduledJobInput, scheduledJobType } from '../../contract/scheduled-job.ts';
import { taskQueueOf } from '../../settings/task-queues.ts';
import { type AuthorOptions, withAuthor } from '../author.ts';
import { withSession, type Session } from '../connection.ts';
import { shellWord } from '../../contract/shell.ts';
import { plain } from '../format.ts';
import { chosenId, collect, outputOption, timeSpan, type OutputOptions } from '../options.ts';
import { CommandError, exitCodes, printJson, printLine, progressLine } from '../output.ts';
import { jobNamed } from '../start.ts';
import { lostToClocks } from './clocks.ts';
import { checkCron, surprisesOf } from './cron.ts';
import { enterScheduleChange } from './enter.ts';
import { describeSchedule, localTime, type DescribedSchedule } from './read.ts';
import { keystride } from '../called-as.ts';

interface CreateOptions extends OutputOptions, AuthorOptions {
  cron: string[];
  timezone: string;
  param?: string[];
  id?: string;
  overlap: OverlapName;
  catchupWindow?: number;
  pauseOnFailure?: true;
  jitter?: number;
  paused?: true;
  note?: string;
}

/** What happens when an action is due while the one before it still runs, as the command line names it. */
const overlapPolicies = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
  'cancel-other': ScheduleOverlapPolicy.CANCEL_OTHER,
  'terminate-other': ScheduleOverlapPolicy.TERMINATE_OTHER,
  'allow-all': ScheduleOverlapPolicy.ALLOW_ALL,
} as const;

/** One of {@link overlapPolicies}. */
type OverlapName = keyof typeof overlapPolicies;

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
  return withAuthor(new Command('create'))
    .description('make a schedule')
    .argument('<job>', 'its name, see `keystride jobs`')
    .requiredOption(
      '--cron <times>',
      'five fields: minute hour day month weekday; or @daily, @every 90m, …; repeatable',
      collect,
    )
    .option('--timezone <zone>', 'in which times and dates are meant, an IANA name', 'UTC')
    .option('-p, --param <name=value>', 'a parameter, which may hold date expressions; repeatable', collect)
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
  const parameters = parametersFromText(job, options.param ?? []);
  const { timezone: timeZone, id: scheduleId = job.name, cron } = options;
  cron.forEach(checkCron);
  // Temporal, too, refuses a zone that nobody knows; this names it.
  startOfDay('2025-01-01', timeZone);
  const now = { scheduledAt: new Date(), timeZone };
  // Whatever is wrong with the parameters is said now, not at two in the morning.
  const { instance } = resolveRun(job, { parameters }, now);
  await withSession(async (session) => {
    const input: ScheduledJobInput = { job: job.name, parameters, timeZone };
    await createSchedule(session, scheduleId, input, options);
    const created = await describeSchedule(session, scheduleId);
    const { overlap, paused } = created;
    const { reason, operator } = options;
    await enterScheduleChange({
      ...{ action: 'schedule create', scheduleId, job: job.name, reason, operator },
      after: { cron, timeZone, overlap, paused },
    });
    const warnings = [
      ...staysTheSame(job, input, instance),
      ...cron.flatMap(surprisesOf),
      ...(await lostToClocks(session, scheduleId, timeZone)),
    ];
    if (options.output === 'json') return printJson({ ...created, warnings });
    announce(created);
    for (const warning of warnings) progressLine(`  note  ${warning}`);
  });
}

async function createSchedule(
  { client, config }: Session,
  scheduleId: string,
  input: ScheduledJobInput,
  options: CreateOptions,
): Promise<void> {
  const schedule: ScheduleOptions = {
    scheduleId,
    spec: {
      cronExpressions: options.cron,
      timezone: options.timezone,
      ...(options.jitter === undefined ? {} : { jitter: options.jitter }),
    },
    policies: {
      overlap: overlapPolicies[options.overlap],
      pauseOnFailure: options.pauseOnFailure === true,
      ...(options.catchupWindow === undefined ? {} : { catchupWindow: options.catchupWindow }),
    },
    action: {
      type: 'startWorkflow',
      workflowType: scheduledJobType,
      // Temporal appends the scheduled time.
      workflowId: `scheduled:${scheduleId}`,
      taskQueue: taskQueueOf(config, input.job),
      args: [input],
      staticSummary: inMarkdown(`${input.job}, by schedule ${scheduleId}`),
    },
    // The server keeps calendars; people look for what they have written.
    memo: { cron: options.cron },
    state: {
      paused: options.paused === true,
      ...(options.note === undefined ? {} : { note: options.note }),
    },
  };
  try {
    await client.schedule.create(schedule);
  } catch (error) {
    throw explained(error, scheduleId);
  }
}

function explained(error: unknown, scheduleId: string): unknown {
  if (error instanceof ScheduleAlreadyRunning)
    return new CommandError(
      {
        what: `there is a schedule ${scheduleId} already`,
        todo: `Give another --id, or delete it first. See it: ${keystride} schedule describe ${shellWord(scheduleId)}`,
      },
      { cause: error, type: 'ScheduleExists', details: { scheduleId } },
    );
  // What the server calls an invalid argument, Temporal's client calls a TypeError.
  if (!(error instanceof TypeError)) return error;
  return new CommandError(
    {
      what: `Temporal refuses the schedule: ${plain(error.message)}`,
      todo: `Correct --cron or --timezone. See examples: ${keystride} schedule create --help`,
    },
    { cause: error, exitCode: exitCodes.usage, type: 'ScheduleInvalid' },
  );
}

/** A completed instance is not run again: a schedule that names the same one each time runs once. */
function staysTheSame(
  job: JobDefinition,
  { parameters, timeZone = 'UTC' }: ScheduledJobInput,
  instance: string,
): string[] {
  const inTwoYears = new Date(Date.now() + 2 * 366 * 86_400_000);
  const later = resolveRun(job, { ...(parameters && { parameters }) }, { scheduledAt: inTwoYears, timeZone });
  if (later.instance !== instance) return [];
  return [
    `every action names the same instance, ${instance}, which completes once; ` +
      `give an identifying parameter a date expression, such as {{scheduled}} or {{scheduled:epoch}}`,
  ];
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
