import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { z } from 'zod';
import { findJob } from './catalogue.ts';
import type { JobDefinition } from '../contract/job.ts';
import { parameterToText } from '../contract/parameters.ts';
import { unreadText } from '../contract/progress.ts';
import { isFinal, type JobStatus } from '../contract/states.ts';
import { withSession } from './connection.ts';
import { readExecution } from './execution.ts';
import { shellWord } from '../contract/shell.ts';
import { count, duration, plain, table, time, tookOf } from './format.ts';
import type { LiveProgress } from './heartbeats.ts';
import { decisionLines } from './decisions.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';
import { colouredStatus } from './render.ts';
import { exitCodeOf, watchOrDetach } from './watch.ts';
import { keystride } from './called-as.ts';

interface StatusOptions extends OutputOptions {
  watch?: true;
}

const help = `
With -o json: the answer of the query \`progress\` (job, instance, parameters, status, reason, times, steps with read,
filtered, written, skipped, and the last decisions), and \`live\`: items in flight, chunk size and concurrency now, and
why pages wait.

With --watch the exit code is that of the run: 0 completed, 1 failed or stopped, 3 completed with skips.

Examples:
  $ keystride status documentMigration:run=2
  $ keystride status documentMigration:run=2 --watch
  $ keystride status documentMigration:run=2 -o json | jq '.steps[0].written'

The same without keystride:
  $ temporal workflow query --workflow-id documentMigration:run=2 --type progress`;

/** `keystride status`: where a run stands. */
export function statusCommand(command: Command): Command {
  return command
    .option('-w, --watch', 'show the progress until the run ends')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(status);
}

async function status(workflowId: string, options: StatusOptions): Promise<void> {
  await withSession(async ({ client }) => {
    if (!options.watch) {
      const { progress } = await readExecution(client, workflowId);
      return options.output === 'json' ? printJson(progress) : await showProgress(progress);
    }
    const ended = await watchOrDetach(client, workflowId, options.output);
    if (ended) await reportEnd(ended.progress, options.output);
  });
}

/** Prints how a run ended, and lets the exit code say it too. */
export async function reportEnd(progress: LiveProgress, output: 'text' | 'json'): Promise<void> {
  process.exitCode = exitCodeOf(progress.status);
  if (output === 'json') return printJson(progress);
  await showProgress(progress);
}

async function showProgress(progress: LiveProgress): Promise<void> {
  const { status: state, reason, live, startedAt, finishedAt } = progress;
  const took = `${finishedAt === null ? 'for' : 'took'} ${duration(tookOf(progress))}`;
  printLine(`${plain(progress.instance ?? progress.workflowId)}  ${colouredStatus(state)}  ${took}`);
  printLine(`  started ${time(startedAt)}${finishedAt === null ? '' : `, ended ${time(finishedAt)}`}`);
  if (reason) printLine(`  ${plain(reason, 2000)}`);
  if (progress.steps.length > 0) for (const line of stepTable(progress)) printLine(`  ${line}`);
  for (const step of progress.steps) {
    const told = unreadText(step);
    if (told) printLine(`  ${plain(told, 500)}`);
  }
  for (const line of figuresLine(progress)) printLine(`  ${line}`);
  if (live && live.inFlight > 0) printLine(`  in flight: ${count(live.inFlight)}`);
  for (const line of decisionLines(progress, decisionsShown)) printLine(`  ${line}`);
  for (const why of live?.waiting ?? []) printLine(`  waiting: ${plain(why)}`);
  for (const [index, next] of (await nextCommands(progress)).entries())
    printLine(`  ${index === 0 ? 'next' : '    '}  ${next}`);
}

/** Whose figures they are, where the workflow could not tell them. */
function figuresLine({ figures }: LiveProgress): string[] {
  if (!figures) return [];
  const note = figures.note === null ? '' : `: ${plain(figures.note)}`;
  return figures.from === 'ledger'
    ? [`figures are the ledger's${note}`]
    : [`figures may be old, the ledger could not be read${note}`];
}

/** The query has all that are kept. */
const decisionsShown = 5;

function stepTable({ steps }: LiveProgress): string[] {
  const rows = steps.map((step) => [
    step.step,
    step.status,
    count(step.read),
    count(step.filtered),
    count(step.written),
    count(step.skipped),
    step.expected === null ? '-' : count(step.expected),
    step.partitions.total > 1 ? `${step.partitions.done}/${step.partitions.total}` : '-',
  ]);
  return table(['step', 'state', 'read', 'filtered', 'written', 'skipped', 'expected', 'partitions'], rows);
}

const nextOf: Partial<Record<JobStatus, readonly string[]>> = {
  running: ['status ID --watch', 'pause ID'],
  throttled: ['status ID --watch', 'pause ID', 'stop ID'],
  paused: ['resume ID', 'stop ID'],
  holding: ['resume ID', 'stop ID'],
  completed: ['verify ID'],
  completedWithSkips: ['skips ID list', 'verify ID'],
};

async function nextCommands(progress: LiveProgress): Promise<string[]> {
  const { status: state, job, parameters, workflowId, steps } = progress;
  const id = shellWord(workflowId);
  if (job === 'redrive' && isFinal(state)) return nextAfterRedrive(state, parameters);
  const usual = nextOf[state] ?? [];
  const verifiable = usual.includes('verify ID') && (await canBeVerified(job));
  const next = usual
    .filter((command) => command !== 'verify ID' || verifiable)
    .map((command) => `${keystride} ${command.replace('ID', () => id)}`);
  if (state !== 'failed' && state !== 'stopped') return next;
  const given = Object.entries(await givenParameters(job, parameters ?? {})).map(
    ([name, value]) => ` --param ${shellWord(`${name}=${parameterToText(value)}`)}`,
  );
  const skipped = steps.some((step) => step.skipped > 0) ? [`${keystride} skips ${id} list`] : [];
  return [
    ...next,
    ...skipped,
    ...(parameters === null ? [] : [`${keystride} start ${job}${given.join('')}`]),
  ];
}

/** What has to be said to start with these parameters: those that are not what the contract assumes anyway. */
async function givenParameters(
  name: string,
  parameters: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const job = await findJob(name);
  if (!job) return parameters;
  const assumed = Object.entries(parameters).filter(([parameter, value]) => {
    const schema: unknown = job.parameters.shape[parameter];
    const empty = schema instanceof z.ZodType ? schema.safeParse(undefined) : undefined;
    return empty?.success === true && isDeepStrictEqual(empty.data, value);
  });
  const left = new Set(assumed.map(([parameter]) => parameter));
  return Object.fromEntries(Object.entries(parameters).filter(([parameter]) => !left.has(parameter)));
}

/** A job of another build than this command's is not known here; its worker will tell. */
export async function canBeVerified(name: string): Promise<boolean> {
  const job = await findJob(name);
  return !job || comparesSides(job);
}

/** Whether one of the job's steps compares source and target. */
export function comparesSides({ steps }: JobDefinition): boolean {
  return Object.values(steps).some(({ kind }) => kind === 'verification');
}

/** Whatever became of a redrive, what it left open belongs to the instance that skipped it. */
async function nextAfterRedrive(state: JobStatus, parameters: LiveProgress['parameters']): Promise<string[]> {
  const instance = parameters?.['instance'];
  if (typeof instance !== 'string') return [];
  const id = shellWord(instance);
  if (state === 'completed')
    return (await canBeVerified(instance.split(':', 1)[0] ?? '')) ? [`${keystride} verify ${id}`] : [];
  return [`${keystride} skips ${id} list`, `${keystride} skips ${id} redrive`];
}
