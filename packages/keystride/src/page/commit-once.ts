import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { PagePolicy } from '../contract/activities.ts';
import type { ErrorClass } from '../contract/classification.ts';
import { failureTypeOf } from '../contract/errors.ts';
import { statementCancelled } from '../stores/postgres/errors.ts';
import {
  chunkBounds,
  CommitUnknown,
  inTransaction,
  type Transaction,
} from '../stores/postgres/transaction.ts';
import { faultPoint } from './fault-points.ts';
import { hasCommitted, type PartitionKey, touchCheckpoint } from '../ledger/checkpoint.ts';
import { backoff } from './process-item.ts';

/** What a page attempt commits as. */
export interface Committer {
  readonly pool: pg.Pool;
  readonly key: PartitionKey;
  readonly holder: string;
  readonly policy: Pick<PagePolicy, 'retry' | 'durableEvery'>;
  readonly classify: (error: unknown) => ErrorClass;
}

/** Whether a statement was too much for its time, and less may not be. What a step says itself of it comes first. */
export function isCancelled({ decision, code }: ErrorClass): boolean {
  return decision === 'retry' && code === statementCancelled;
}

/**
 * Runs a chunk's transaction. Returning means that it has committed, throwing that it has not, also when COMMIT was not
 * answered: then the checkpoint is asked.
 */
export async function commitOnce(
  committer: Committer,
  seq: number,
  write: (transaction: Transaction) => Promise<void>,
): Promise<void> {
  try {
    faultPoint('beforeBegin');
    const waitForDisk = committer.policy.durableEvery !== 'page';
    await inTransaction(
      committer.pool,
      async (transaction) => {
        await write(transaction);
        faultPoint('beforeCommit');
      },
      { ...chunkBounds, waitForDisk },
    );
    faultPoint('afterCommit');
  } catch (error) {
    if (!(error instanceof CommitUnknown) || !(await resolveCommit(committer, seq))) throw error;
  }
}

/**
 * Returns when all that has committed before is as durable as a commit can be: a commit that waits for the disk has
 * everything written before it there too.
 *
 * @throws Fenced, Superseded when another attempt has taken over, or when the database has crashed meanwhile and came back
 *   without the last chunks: in each case the next attempt goes on from the checkpoint.
 */
export async function makeDurable({ pool, key, holder }: Committer, seq: number): Promise<void> {
  await inTransaction(pool, (transaction) => touchCheckpoint(transaction, key, holder, seq));
}

/** Asks the checkpoint until it can be reached, or the retries are used up. */
async function resolveCommit(committer: Committer, seq: number): Promise<boolean> {
  const { retry } = committer.policy;
  for (let attempt = 1; ; attempt++) {
    try {
      return await hasCommitted(committer.pool, committer.key, committer.holder, seq);
    } catch (error) {
      const passing = failureTypeOf(error) === undefined && committer.classify(error).decision === 'retry';
      if (!passing || attempt > retry.retries) throw error;
    }
    await delay(backoff(retry, attempt));
  }
}
