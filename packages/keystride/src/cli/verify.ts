import type { Command } from 'commander';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import pc from 'picocolors';
import { describeError } from '../contract/errors.ts';
import type { VerificationReport } from '../contract/verification.ts';
import { commandAuthor } from '../operator/author.ts';
import { exitCodes } from '../operator/command-error.ts';
import { type Session, withSession } from '../operator/connection.ts';
import { jobFailure } from '../operator/failures.ts';
import { count, plain } from '../operator/format.ts';
import { temporalCommand } from '../operator/temporal-command.ts';
import { startVerification } from '../operator/verify.ts';
import { type AuthorOptions, withAuthor } from './author.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';

const help = `
Reads source and target and changes neither. Exit code 0 when they agree, 1 when they differ, 2 when the job
has no verification step. With --repair, items that are missing or different run again and what has no source is
removed, where the job can, whoever has put it there: look without --repair first, which says how much that is. It is
refused while the job runs, but of a sync that follows the log (mode=log), whose stream does it.

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
    const handle = await startVerification(session, workflowId, {
      author: commandAuthor(options),
      ...(options.repair && { repair: true }),
    });
    const report = await reportOf(handle, workflowId);
    if (report === undefined) return detached(session.config, handle.workflowId, options.output);
    process.exitCode = report.verified ? exitCodes.done : exitCodes.failed;
    if (options.output === 'json') return printJson(report);
    show(report);
  });
}

/** @returns undefined after Ctrl-C: the verification goes on, and its id was told */
async function reportOf(handle: WorkflowHandle, workflowId: string): Promise<VerificationReport | undefined> {
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
