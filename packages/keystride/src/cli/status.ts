import { type Command, Option } from 'commander';
import { retriesText, unreadText } from '../contract/progress.ts';
import { isFinal } from '../contract/states.ts';
import { followsLog } from '../contract/sync.ts';
import { withSession } from '../operator/connection.ts';
import { readExecution } from '../operator/execution.ts';
import { count, duration, endText, plain, table, time, tookOf } from '../operator/format.ts';
import type { LiveProgress } from '../operator/heartbeats.ts';
import { nextCommands } from '../operator/next-commands.ts';
import type { StepPartitions } from '../operator/partitions.ts';
import type { StreamLag } from '../operator/syncs/lag.ts';
import { decisionLines } from './decisions.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';
import { colouredStatus } from './render.ts';
import { exitCodeOf, watchOrDetach } from './watch.ts';

interface StatusOptions extends OutputOptions {
  watch?: true;
  partitions?: true;
}

const help = `
With -o json: the answer of the query \`progress\` (job, instance, parameters, status, reason, times, steps with read,
filtered, written, skipped, retries by code, and the last decisions), and \`live\`: items in flight, chunk size and concurrency now, and
why pages wait; of a run that follows the log of its source also \`stream\`: its position, what it is behind by, what its
source keeps, and rows by what was done to them. With --partitions also \`partitions\`: of each step that has several, how far they have committed, as the
ledger has it; of more than 120 those that are under way.

With --watch the exit code is that of the run: 0 completed, 1 failed or stopped, 3 completed with skips.

Examples:
  $ keystride status documentMigration:run=2
  $ keystride status documentMigration:run=2 --watch
  $ keystride status documentMigration:run=2 --partitions
  $ keystride status documentMigration:run=2 -o json | jq '.steps[0].written'

The same without keystride:
  $ temporal workflow query --workflow-id documentMigration:run=2 --type progress`;

/** `keystride status`: where a run stands. */
export function statusCommand(command: Command): Command {
  return command
    .option('-w, --watch', 'show the progress until the run ends')
    .addOption(new Option('--partitions', 'show how far each partition has come').conflicts('watch'))
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(status);
}

async function status(workflowId: string, options: StatusOptions): Promise<void> {
  await withSession(async ({ client }) => {
    if (!options.watch) {
      const { progress } = await readExecution(client, workflowId);
      const partitions = options.partitions ? await partitionsIn(progress) : undefined;
      const stream = await streamIn(progress);
      if (options.output === 'json')
        return printJson({ ...progress, ...(partitions && { partitions }), ...(stream && { stream }) });
      await showProgress(progress, stream);
      for (const step of partitions ?? []) showPartitions(step);
      return;
    }
    const ended = await watchOrDetach(client, workflowId, options.output);
    if (ended) await reportEnd(ended.progress, options.output);
  });
}

/** Of a run that follows the log of its source, and has not ended. Loaded where there is one: it opens the ledger. */
async function streamIn(progress: LiveProgress): Promise<StreamLag | undefined> {
  if (!followsLog(progress.parameters) || isFinal(progress.status)) return undefined;
  return (await import('../operator/syncs/kept.ts')).streamOfRun(progress);
}

/** Loaded where somebody asks for it: it opens the ledger. */
async function partitionsIn({ instance }: LiveProgress): Promise<StepPartitions[]> {
  const { partitionsOf } = await import('../operator/partitions.ts');
  return instance === null ? [] : partitionsOf(instance);
}

function showPartitions({ step, counts, partitions, all }: StepPartitions): void {
  if (counts.total < 2) return;
  const shown = all ? '' : `; the ${count(partitions.length)} that are under way`;
  printLine();
  printLine(`  ${plain(step)}: ${count(counts.done)} of ${count(counts.total)} partitions done${shown}`);
  const rows = partitions.map((one) => [
    `p${one.partition}`,
    one.done ? 'done' : one.commits > 0 ? 'begun' : 'nothing yet',
    count(one.read + one.readSkipped),
    count(one.written),
    count(one.skipped),
    one.commits > 0 ? `${duration(Math.max(0, Date.now() - Date.parse(one.updatedAt)))} ago` : '-',
    endText(one.cursor, 40) || '-',
    endText(one.upper, 40) || 'open',
  ]);
  const head = [
    'partition',
    'state',
    'read',
    'written',
    'skipped',
    'last commit',
    'committed up to',
    'ends at',
  ];
  for (const line of table(head, rows)) printLine(`  ${line}`);
}

/** Prints how a run ended, and lets the exit code say it too. */
export async function reportEnd(progress: LiveProgress, output: 'text' | 'json'): Promise<void> {
  process.exitCode = exitCodeOf(progress.status);
  if (output === 'json') return printJson(progress);
  await showProgress(progress);
}

async function showProgress(progress: LiveProgress, stream?: StreamLag): Promise<void> {
  const { status: state, reason, live, startedAt, finishedAt } = progress;
  const took = `${finishedAt === null ? 'for' : 'took'} ${duration(tookOf(progress))}`;
  printLine(`${plain(progress.instance ?? progress.workflowId)}  ${colouredStatus(state)}  ${took}`);
  printLine(`  started ${time(startedAt)}${finishedAt === null ? '' : `, ended ${time(finishedAt)}`}`);
  if (reason) printLine(`  ${plain(reason, 2000)}`);
  if (progress.steps.length > 0) for (const line of stepTable(progress)) printLine(`  ${line}`);
  for (const step of progress.steps) {
    const told = unreadText(step);
    if (told) printLine(`  ${plain(told, 500)}`);
    if (step.retries) printLine(`  ${step.step} has tried again: ${plain(retriesText(step.retries), 500)}`);
  }
  if (stream) printLine(`  ${plain((await import('../operator/syncs/lag.ts')).followedText(stream), 500)}`);
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
