import type { Client, WorkflowHandle } from '@temporalio/client';
import { type Authorship, authorshipMemo } from '../contract/audit.ts';
import { inMarkdown } from '../contract/inert.ts';
import { comparesSides } from '../contract/policy.ts';
import { shellWord } from '../contract/shell.ts';
import type { VerificationInput, VerificationReport } from '../contract/verification.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import { quoted } from '../host/query-text.ts';
import { keystride } from './called-as.ts';
import { catalogue } from './catalogue.ts';
import { CommandError, exitCodes } from './command-error.ts';
import type { Session } from './connection.ts';
import { readExecution } from './execution.ts';
import { plain } from './format.ts';
import { canBeVerified } from './next-commands.ts';

/**
 * Starts comparing what a run has left behind with what it was to do. The workflow's result is a
 * {@link VerificationReport}.
 *
 * @param options.author who asks for it
 * @param options.repair puts right what differs, and is entered in the audit
 * @throws CommandError when there is no such run, or its job has no verification step
 */
export async function startVerification(
  { client, config }: Session,
  workflowId: string,
  { author, repair }: { readonly author: Authorship; readonly repair?: boolean },
): Promise<WorkflowHandle> {
  const input = await inputOf(client, workflowId);
  if (!(await canBeVerified(input.job))) throw await nothingToCompare(input.job, workflowId);
  return client.workflow.start('verification', {
    workflowId: `verification/${workflowId}/${new Date().toISOString()}`,
    taskQueue: taskQueueOf(config, input.job),
    args: [{ ...input, ...(repair && { repair: true }) }],
    memo: { [authorshipMemo]: author },
    staticSummary: inMarkdown(`verification of ${workflowId}`),
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
  const others = (await catalogue()).filter(({ steps }) => comparesSides(steps)).map(({ name }) => name);
  return new CommandError(
    {
      what: `${plain(job)} has no verification step: there is nothing to compare`,
      todo: `Jobs that compare: ${others.join(', ')}.\nSee its books: ${keystride} status ${shellWord(workflowId)}`,
    },
    { exitCode: exitCodes.usage, type: 'NothingToCompare' },
  );
}

/** A comparison that somebody has asked for. */
export interface AskedVerification {
  readonly workflowId: string;
  readonly runId: string;
  readonly startedAt: string;
  /** Null while it goes on, and where it failed. */
  readonly report: VerificationReport | null;
  /** How it ended, where it has not completed. */
  readonly ended: string | null;
}

/** Comparisons that are shown: the last ones. */
const mostShown = 3;

/** The last comparisons that were asked for, of a run's work; the newest first. */
export async function verificationsOf(
  { client }: Pick<Session, 'client'>,
  workflowId: string,
): Promise<readonly AskedVerification[]> {
  const prefix = quoted(`verification/${workflowId}/`);
  // One that has continued as new is its last run.
  const query = `WorkflowType = 'verification' AND WorkflowId STARTS_WITH ${prefix} AND ExecutionStatus != 'ContinuedAsNew'`;
  const found: AskedVerification[] = [];
  for await (const info of client.workflow.list({ query, pageSize: mostShown })) {
    const { runId, status } = info;
    const handle = client.workflow.getHandle(info.workflowId, runId);
    const report = status.name === 'COMPLETED' ? ((await handle.result()) as VerificationReport) : null;
    const ended = status.name === 'RUNNING' || report ? null : status.name.toLowerCase();
    found.push({ workflowId: info.workflowId, runId, startedAt: startedAtOf(info), report, ended });
    if (found.length >= mostShown) break;
  }
  return found;
}

/** Its id says when somebody has asked for it, however many runs it takes. */
function startedAtOf({
  workflowId,
  startTime,
}: {
  readonly workflowId: string;
  readonly startTime: Date;
}): string {
  const asked = Date.parse(workflowId.slice(workflowId.lastIndexOf('/') + 1));
  return (Number.isNaN(asked) ? startTime : new Date(asked)).toISOString();
}
