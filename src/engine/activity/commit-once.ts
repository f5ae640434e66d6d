import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { ErrorClass } from '../../contract/classification.ts';
import { failureTypeOf } from '../../contract/errors.ts';
import type { RetryPolicy } from '../../contract/policy.ts';
import { CommitUnknown, inTransaction, type Transaction } from '../../stores/postgres/transaction.ts';
import { faultPoint } from './fault-points.ts';
import { hasCommitted, type PartitionKey } from './ledger/checkpoint.ts';
import { backoff } from './process-item.ts';

/** What a page attempt commits as. */
export interface Committer {
  readonly pool: pg.Pool;
  readonly key: PartitionKey;
  readonly holder: string;
  readonly policy: { readonly retry: RetryPolicy };
  readonly classify: (error: unknown) => ErrorClass;
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
    await inTransaction(committer.pool, async (transaction) => {
      await write(transaction);
      faultPoint('beforeCommit');
    });
    faultPoint('afterCommit');
  } catch (error) {
    if (!(error instanceof CommitUnknown) || !(await resolveCommit(committer, seq))) throw error;
  }
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
