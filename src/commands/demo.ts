import path from 'node:path';
import { Command } from 'commander';
import {
  CommandError,
  count,
  type ExitCode,
  exitCodeOf,
  exitCodes,
  keystride,
  outputOption,
  type OutputOptions,
  printJson,
  progressLine,
  reasonOf,
  type Session,
  shellWord,
  wholeNumber,
  withSession,
} from 'keystride/command';
import { catalogue } from '../contract/index.ts';
import { listTicketKeys } from '../stubs/legacy-api/directory.ts';
import { ticketKey, withFailures, withLarge } from './demo/behaviour.ts';
import { prepareData } from './demo/data.ts';
import { runMigration, type MigrationRequest } from './demo/migration.ts';
import { bringUpDemo, type DemoParts } from './demo/stack.ts';
import { showNext, showSummary, summaryJson } from './demo/summary.ts';

interface DemoOptions extends OutputOptions {
  documents?: number;
  latency: number;
  inFlight: number;
  from?: string;
  keep?: true;
  clean?: true;
  large: number;
  workers: number;
}

const help = `
Brings up what is missing, makes documents, copies the targets (targetSync) and migrates them (documentMigration) from a
stub of the legacy API. By default 3 % of them are unknown to it, 1 % malformed, 1 % of an unsupported format. A stack
that runs already is used and stays up. Data is deleted only where the stack itself keeps it.

Exit codes: 0 all migrated, 3 all but the expected failures, 1 anything else.

Examples:
  $ keystride demo
  $ keystride demo --documents 5000 --latency 200 --in-flight 400 --clean
  $ keystride demo --large 3                                 some go to GridFS
  $ keystride demo --from ./node_modules --documents 500     files of your own, one document each
  $ keystride demo --keep                                    leaves everything up to look around
  $ keystride demo -o json`;

/** `keystride demo`: the main job from nothing to its verification. */
export function demoCommand(): Command {
  return new Command()
    .option('--documents <n>', 'how many (default: 1000; with --from all files)', wholeNumber(1, 10_000_000))
    .option('--latency <ms>', 'how long the legacy API takes for a call', wholeNumber(0, 600_000), 1000)
    .option('--in-flight <n>', 'calls of the legacy API at a time', wholeNumber(1, 2000), 250)
    .option('--from <dir>', 'migrate the text files below this directory')
    .option('--clean', 'no failing documents')
    .option(
      '--large <n>',
      'documents larger than MongoDB takes in one record (18 MiB)',
      wholeNumber(0, 1000),
      0,
    )
    .option('--workers <n>', 'worker processes', wholeNumber(1, 100), 1)
    .option('--keep', 'leave everything up at the end')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  // While the parts come up there is nothing to end in order: what owns them ends them.
  const giveUp = (): never => process.exit(exitCodes.detached);
  process.once('SIGINT', giveUp);
  const source = await sourceOf(options);
  const parts = await bringUpDemo({
    workers: options.workers,
    keep: options.keep === true,
    from: source.from,
    sampleKeys: source.sampleKeys,
  });
  process.off('SIGINT', giveUp);
  const interruption = new AbortController();
  const interrupt = (): void => {
    // The second Ctrl-C does not wait.
    if (interruption.signal.aborted) process.exit(exitCodes.detached);
    interruption.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    process.exitCode = await withSession(
      (session) => run(session, parts, source, options, interruption.signal),
      parts.config,
    );
  } finally {
    if (!parts.adopted && !options.keep) progressLine('stopping everything …');
    await parts.stop();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
  }
}

/** Which documents there are to be. */
interface Source {
  readonly count?: number;
  readonly from?: string;
  readonly sampleKeys: readonly string[];
}

async function sourceOf({ documents, from }: DemoOptions): Promise<Source> {
  if (from === undefined) {
    const number = documents ?? 1000;
    return { count: number, sampleKeys: [ticketKey(1), ticketKey(number)] };
  }
  const directory = path.resolve(from);
  const keys = await listTicketKeys(directory).catch((error: unknown) => {
    throw new CommandError(
      { what: reasonOf(error), todo: 'Name a directory with text files: --from DIR' },
      { cause: error, exitCode: exitCodes.usage, type: 'Usage' },
    );
  });
  const sampleKeys = [keys[0], keys.at(-1)].filter((key) => key !== undefined);
  return { from: directory, sampleKeys, ...(documents !== undefined && { count: documents }) };
}

async function run(
  session: Session,
  parts: DemoParts,
  { count: wanted, from }: Source,
  options: DemoOptions,
  signal: AbortSignal,
): Promise<ExitCode> {
  await clearTheWay(session, parts);
  const documents = await prepareData(parts, {
    ...(wanted !== undefined && { count: wanted }),
    ...(from !== undefined && { from }),
  });
  progressLine(`data        ${count(documents)} documents to migrate`);
  const started: string[] = [];
  const request: MigrationRequest = {
    documents,
    inFlight: options.inFlight,
    behaviour: {
      ...(options.clean ? { latency: options.latency } : withFailures(documents, options.latency)),
      ...withLarge(documents, options.large),
    },
    run: Math.floor(Date.now() / 1000),
    signal,
    onStarted: ({ workflowId, uiUrl }) => {
      started.push(workflowId);
      progressLine(`started     ${workflowId}${uiUrl === undefined ? '' : `  ${uiUrl}`}`);
    },
  };
  const result = await runMigration(session, parts, request);
  if (result === undefined) return interrupted(session, parts, started.at(-1), options);
  if (options.output === 'json') printJson(summaryJson(request, result, parts.config));
  else {
    showSummary(request, result, parts.config);
    if (parts.adopted || options.keep) showNext(result.workflowId);
  }
  return result.verified ? exitCodeOf(result.progress.status) : exitCodes.failed;
}

/** Runs that an interrupted demo left behind would work on the data of this one. */
async function clearTheWay({ client }: Session, { adopted }: DemoParts): Promise<void> {
  const types = catalogue.map(({ name }) => `'${name}'`).join(', ');
  const query = `WorkflowType IN (${types}) AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) {
    if (adopted)
      throw new CommandError({
        what: `${workflowId} is running, and the demo would take its data away`,
        todo: `Let it end, or end it: ${keystride} stop ${shellWord(workflowId)}`,
      });
    await client.workflow.getHandle(workflowId).terminate('left behind by an interrupted demo');
  }
}

async function interrupted(
  { client }: Session,
  { adopted }: DemoParts,
  workflowId: string | undefined,
  { keep, output }: DemoOptions,
): Promise<ExitCode> {
  const staysUp = adopted || keep === true;
  if (workflowId !== undefined && staysUp)
    progressLine(`The run goes on. To look again: ${keystride} status ${shellWord(workflowId)} --watch`);
  if (workflowId !== undefined && !staysUp)
    await client.workflow
      .getHandle(workflowId)
      .terminate('the demo was interrupted')
      .catch(() => undefined);
  if (output === 'json') printJson({ interrupted: true, ...(workflowId !== undefined && { workflowId }) });
  return exitCodes.detached;
}
