import type { Command } from 'commander';
import { WorkflowFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import pc from 'picocolors';
import { type Authorship, authorshipMemo } from '../contract/audit.ts';
import { describeError } from '../contract/errors.ts';
import { inMarkdown } from '../contract/inert.ts';
import { catalogue } from './catalogue.ts';
import type { VerificationInput, VerificationReport } from '../contract/verification.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import { authorOf, type AuthorOptions, withAuthor } from './author.ts';
import { withSession, type Session } from './connection.ts';
import { readExecution } from './execution.ts';
import { jobFailure } from './failures.ts';
import { shellWord } from '../contract/shell.ts';
import { count, plain } from './format.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes, printJson, printLine, progressLine } from './output.ts';
import { canBeVerified, comparesSides } from './status.ts';
import { keystride } from './called-as.ts';
import { temporalCommand } from './temporal-command.ts';

const help = `
Reads source and target and changes neither. Exit code 0 when they agree, 1 when they differ, 2 when the job
has no verification step. With --repair, items that are missing or different run again and what has no source is
removed, where the job can, whoever has put it there: look without --repair first, which says how much that is. It is
refused while the job runs.

Examples:
  $ keystride verify documentMigration:run=2
  $ keystride verify documentMigration:run=2 -o json
  $ keystride verify documentMigration:run=2 --repair`;

interface VerifyOptions extends OutputOptions, AuthorOptions {
  repair?: true;
}

/** How often it is asked whether it is held back, in milliseconds. */
const lookEveryMs = 3_000;

/** `keystride verify`: compares what a run has left behind with what it was to do. */
export function verifyCommand(command: Command): Command {
  return withAuthor(command, 'repair: why; kept in the audit')
    .option('--repair', 'put right what differs')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(verify);
}

async function verify(workflowId: string, options: VerifyOptions): Promise<void> {
  await withSession(async (session) => {
    const input = await inputOf(session.client, workflowId);
    if (!(await canBeVerified(input.job))) throw await nothingToCompare(input.job, workflowId);
    const verificationId = `verification/${workflowId}/${new Date().toISOString()}`;
    const asked = { ...input, ...(options.repair && { repair: true }) };
    const report = await runVerification(session, workflowId, verificationId, asked, authorOf(options));
    if (report === undefined) return detached(session.config, verificationId, options.output);
    process.exitCode = report.verified ? exitCodes.done : exitCodes.failed;
    if (options.output === 'json') return printJson(report);
    show(report);
  });
}

async function inputOf(client: Client, workflowId: string): Promise<VerificationInput> {
  const { progress } = await readExecution(client, workflowId);
  if (progress.parameters !== null) return { job: progress.job, parameters: progress.parameters };
  throw new CommandError(
    {
      what: `${workflowId} has not said which parameters it ran with${progress.reason ? ` (${progress.reason})` : ''}`,
      todo: `Start a worker: ${keystride} worker\nLook at it: ${keystride} status ${shellWord(workflowId)}`,
    },
    { details: { workflowId } },
  );
}

async function nothingToCompare(job: string, workflowId: string): Promise<CommandError> {
  const others = (await catalogue()).filter(comparesSides).map(({ name }) => name);
  return new CommandError(
    {
      what: `${plain(job)} has no verification step: there is nothing to compare`,
      todo: `Jobs that compare: ${others.join(', ')}.\nSee its books: ${keystride} status ${shellWord(workflowId)}`,
    },
    { exitCode: exitCodes.usage, type: 'NothingToCompare' },
  );
}

/** @returns undefined after Ctrl-C: the verification goes on, and its id was told */
async function runVerification(
  { client, config }: Session,
  workflowId: string,
  verificationId: string,
  input: VerificationInput,
  author: Authorship,
): Promise<VerificationReport | undefined> {
  const handle = await client.workflow.start('verification', {
    workflowId: verificationId,
    taskQueue: taskQueueOf(config, input.job),
    args: [input],
    memo: { [authorshipMemo]: author },
    staticSummary: inMarkdown(`verification of ${workflowId}`),
  });
  progressLine(`verifying ${workflowId} as ${handle.workflowId} …`);
  const interrupted = Promise.withResolvers<undefined>();
  const interrupt = (): void => interrupted.resolve(undefined);
  process.once('SIGINT', interrupt);
  const looking = setInterval(tellWhenHeldBack(handle), lookEveryMs);
  try {
    const report = await Promise.race([handle.result() as Promise<VerificationReport>, interrupted.promise]);
    return report;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError) || !error.cause) throw error;
    throw jobFailure(error.cause, {
      message: describeError(error.cause),
      details: { workflowId: handle.workflowId },
    });
  } finally {
    process.off('SIGINT', interrupt);
    clearInterval(looking);
  }
}

/** Looks whether a verification is held back, and says so when that changes. */
function tellWhenHeldBack(handle: WorkflowHandle): () => void {
  let told = '';
  const look = async () => {
    // What the UI shows as Current Details; none while it goes on.
    const { currentDetails } = await handle.query<{ currentDetails?: string }>(
      '__temporal_workflow_metadata',
    );
    const now = (currentDetails ?? '').replaceAll('*', '');
    if (now !== told) progressLine(now === '' ? 'going on …' : plain(now));
    told = now;
  };
  return () => void look().catch(() => undefined);
}

function detached(config: Session['config'], workflowId: string, output: 'text' | 'json'): void {
  const ask = temporalCommand(config, 'workflow', 'result', '--workflow-id', workflowId);
  progressLine(`The verification goes on. Its result: ${ask}`);
  if (output === 'json') printJson({ workflowId, detached: true });
  process.exitCode = exitCodes.detached;
}

function show(report: VerificationReport): void {
  const {
    instance,
    verified,
    compared,
    differences,
    leftovers = 0,
    repaired,
    removed,
    removable,
    examples,
  } = report;
  const told = [
    `${count(differences)} differences`,
    ...(leftovers > 0 ? [`${count(leftovers)} of them left by attempts that died`] : []),
    ...(repaired > 0 ? [`${count(repaired)} repaired`] : []),
    ...(removed > 0 ? [`${count(removed)} removed from the target`] : []),
  ];
  const verdict = verified ? pc.green('verified') : pc.red('not verified');
  printLine(`${instance}  ${verdict}: ${count(compared)} compared, ${told.join(', ')}`);
  for (const example of examples) printLine(`  ${plain(example, 500)}`);
  const more = differences + repaired - examples.length;
  if (more > 0) printLine(`  … and ${count(more)} more`);
  if (removable > 0)
    printLine(`  ${count(removable)} of them have no source: --repair removes them where the job can`);
}
