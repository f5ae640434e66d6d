import { Command } from 'commander';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../../operator/called-as.ts';
import { withSession } from '../../operator/connection.ts';
import { count, duration, plain, table } from '../../operator/format.ts';
import { readSchedules } from '../../operator/schedules/list.ts';
import { describeSchedule, localTime, type DescribedSchedule } from '../../operator/schedules/read.ts';
import { outputOption, type OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

const listHelp = `
Examples:
  $ keystride schedule list
  $ keystride schedule list -o json | jq '.[] | select(.paused) | .scheduleId'

The same without keystride:
  $ temporal schedule list`;

/** `keystride schedule list`: the schedules that run jobs. */
export function scheduleListCommand(): Command {
  return new Command('list')
    .description('list the schedules')
    .addOption(outputOption())
    .addHelpText('after', listHelp)
    .action(list);
}

const describeHelp = `
With -o json: the definition, \`next\` and \`last\`, each with its time and its instance; of the last ones also the
outcome: running, completed, completedWithSkips, stopped, failed, runningAlready or completeAlready.

Examples:
  $ keystride schedule describe purchaseConfirmation

The same without keystride:
  $ temporal schedule describe --schedule-id purchaseConfirmation`;

/** `keystride schedule describe`: a schedule with its next and last actions. */
export function scheduleDescribeCommand(): Command {
  return new Command('describe')
    .description('show a schedule, its next runs and its last ones')
    .argument('<id>', "the schedule's id, see `keystride schedule list`")
    .addOption(outputOption())
    .addHelpText('after', describeHelp)
    .action(describe);
}

async function list(options: OutputOptions): Promise<void> {
  const schedules = await withSession(readSchedules);
  if (options.output === 'json') return printJson(schedules);
  if (schedules.length === 0)
    return printLine(`no schedules; \`${keystride} schedule create --help\` shows how to make one`);
  const rows = schedules.map(({ scheduleId, job, paused, timeZone, next: [next], last: [last], note }) => [
    scheduleId,
    job,
    paused ? 'paused' : 'active',
    next === undefined || paused ? '-' : localTime(next.at, timeZone),
    last === undefined
      ? '-'
      : `${last.scheduledAt.slice(0, 16).replace('T', ' ')} ${last.outcome ?? 'unknown'}`,
    plain(note ?? '', 60),
  ]);
  for (const line of table(['id', 'job', 'state', 'next', 'last (UTC)', 'note'], rows)) printLine(line);
}

async function describe(scheduleId: string, options: OutputOptions): Promise<void> {
  const schedule = await withSession((session) => describeSchedule(session, scheduleId));
  if (options.output === 'json') return printJson(schedule);
  show(schedule);
}

function show(schedule: DescribedSchedule): void {
  const { scheduleId, timeZone, cron, paused, note, next, last } = schedule;
  printLine(
    `${scheduleId}  ${paused ? 'paused' : 'active'}  ${cron.join(' · ') || 'times set without keystride'}  ${timeZone}`,
  );
  printLine(`  job       ${schedule.job}  ${plain(parametersOf(schedule))}`.trimEnd());
  printLine(`  policies  ${policiesOf(schedule)}`);
  if (note !== null) printLine(`  note      ${plain(note)}`);
  printLine(
    `  actions   ${count(schedule.taken)} taken · ${count(schedule.skippedOverlap)} skipped for overlap · ` +
      `${count(schedule.missedCatchup)} missed`,
  );
  for (const { at, instance } of next.slice(0, 5))
    printLine(`  next      ${localTime(at, timeZone)}  ${plain(instance ?? '')}`.trimEnd());
  for (const { scheduledAt, outcome, instance, workflowId } of last)
    printLine(
      `  last      ${localTime(scheduledAt, timeZone)}  ${outcome ?? 'unknown'}  ${plain(instance ?? workflowId)}`,
    );
  const id = shellWord(scheduleId);
  printLine(`  to do     ${keystride} schedule ${paused ? 'unpause' : 'pause'} ${id}`);
  printLine(`            ${keystride} schedule trigger ${id}`);
}

function parametersOf({ parameters }: DescribedSchedule): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function policiesOf({
  overlap,
  catchupWindowSeconds,
  pauseOnFailure,
  jitterSeconds,
}: DescribedSchedule): string {
  return [
    `overlap ${overlap}`,
    `catch up within ${duration(catchupWindowSeconds * 1000)}`,
    pauseOnFailure ? 'pauses on failure' : 'goes on after a failure',
    ...(jitterSeconds > 0 ? [`jitter ${duration(jitterSeconds * 1000)}`] : []),
  ].join(' · ');
}
