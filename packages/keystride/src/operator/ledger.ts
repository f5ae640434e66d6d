import type { Client } from '@temporalio/client';
import { loadSettings } from '../dev/settings.ts';
import { findOriginalKey, type RunningExecution } from '../ledger/executions.ts';
import { type Asked, keptLedger, type Ledger, type LedgerVisit, visitLedger } from '../ledger/ledger.ts';
import type { SkipFilter } from '../ledger/skip-filter.ts';
import { keysNeverSkipped } from '../ledger/skip-list.ts';
import { databaseProblem } from './explain.ts';
import { shellWord } from '../contract/shell.ts';
import { plain } from './format.ts';
import { CommandError } from './command-error.ts';
import { keystride } from './called-as.ts';

/**
 * Works with the ledger, on connections that are kept for a while for whoever asks next.
 *
 * @param within how long each answer may take, in milliseconds. @default any time
 * @throws CommandError when the ledger cannot be used, with its address.
 */
export function withLedger<Result>(
  work: (ledger: Ledger) => Promise<Result>,
  within?: number,
): Promise<Result> {
  return inLedger(within, (visit) => work(keptLedger(visit)));
}

/**
 * Works with the ledger on a connection of its own: for what lasts as long as its reader likes, and is to keep nobody
 * waiting.
 *
 * @throws CommandError when the ledger cannot be used, with its address.
 */
export function withOwnLedger<Result>(work: (ledger: Ledger) => Promise<Result>): Promise<Result> {
  return inLedger(undefined, (visit) => visitLedger(visit, work));
}

async function inLedger<Result>(
  within: number | undefined,
  work: (visit: LedgerVisit) => Promise<Result>,
): Promise<Result> {
  const { databaseUrl } = loadSettings(process.env, ['databaseUrl']);
  try {
    return await work({ connectionString: databaseUrl, name: 'keystride', within });
  } catch (error) {
    throw error instanceof CommandError ? error : databaseProblem(error, databaseUrl, 'DATABASE_URL');
  }
}

/**
 * An instance by its key, or by the workflow that ran it last. A redrive leads to the instance whose skips it ran.
 *
 * @throws CommandError of type NotFound
 */
export async function findInstance(ledger: Asked, id: string): Promise<string> {
  const found = await findOriginalKey(ledger, id);
  if (found !== undefined) return found;
  throw new CommandError(
    {
      what: `the ledger knows no instance or workflow ${plain(id)}`,
      todo: `See which runs there are: ${keystride} list`,
    },
    { type: 'NotFound', details: { workflowId: id } },
  );
}

/**
 * Refuses keys that were never skipped: a mistyped one is not to pass in silence.
 *
 * @throws CommandError of type NotFound
 */
export async function refuseUnknownKeys(ledger: Asked, instance: string, filter: SkipFilter): Promise<void> {
  const unknown = await keysNeverSkipped(ledger, instance, filter);
  if (unknown.length === 0) return;
  throw new CommandError(
    {
      what: `no skip of ${instance} that is asked for has the key ${unknown.slice(0, 5).map(shellWord).join(', ')}`,
      todo: `See which there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NotFound', details: { instance } },
  );
}

/** The first of these that Temporal, too, says is running. A worker that died may have left one in the ledger. */
export async function firstAlive(
  client: Client,
  executions: readonly RunningExecution[],
): Promise<RunningExecution | undefined> {
  for (const execution of executions) {
    try {
      const { status } = await client.workflow.getHandle(execution.workflowId).describe();
      if (status.name === 'RUNNING' || status.name === 'PAUSED') return execution;
    } catch (error) {
      if (!(error instanceof Error && error.name === 'WorkflowNotFoundError')) throw error;
    }
  }
  return undefined;
}

/** The refusal of work on skips while something else is at them. */
export function stillRunning({ instance, workflowId }: RunningExecution): CommandError {
  const id = shellWord(workflowId);
  return new CommandError(
    {
      what: `${instance} is running, as workflow ${workflowId}`,
      todo: `Wait for its end: ${keystride} status ${id} --watch\nEnd it: ${keystride} stop ${id}`,
    },
    { type: 'JobExecutionAlreadyRunning', details: { workflowId } },
  );
}
