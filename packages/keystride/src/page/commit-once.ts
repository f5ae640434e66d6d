import { setTimeout as delay } from 'node:timers/promises';
import type { PagePolicy } from '../contract/step-activities.ts';
import type { ErrorClass } from '../contract/classification.ts';
import { failureTypeOf } from '../contract/errors.ts';
import { statementCancelled } from '../stores/postgres/errors.ts';
import { chunkBounds, CommitUnknown, type Transaction } from '../stores/postgres/transaction.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { faultPoint } from './fault-points.ts';
import { hasCommitted, type Lease, touchCheckpoint } from '../ledger/checkpoint.ts';
import { backoff } from './process-item.ts';

/** What a page attempt commits with. */
export interface Committer {
  readonly ledger: Ledger;
  readonly policy: Pick<PagePolicy, 'retry' | 'durableEvery'>;
  readonly classify: (error: unknown) => ErrorClass;
  /** Told of each transaction that is to be tried again. */
  onRetry?(found: ErrorClass): void;
}

/** Whether a statement was too much for its time, and less may not be. What a step says itself of it comes first. */
export function isCancelled({ decision, code }: ErrorClass): boolean {
  return decision === 'retry' && code === statementCancelled;
}

/**
 * Runs the transaction of a chunk, which moves the checkpoint on from where the lease has it. Returning means that it has committed, throwing that it has not, also when COMMIT was not
 * answered: then the checkpoint is asked.
 */
export async function commitOnce(
  committer: Committer,
  lease: Lease,
  write: (transaction: Transaction) => Promise<void>,
): Promise<void> {
  try {
    faultPoint('beforeBegin');
    const waitForDisk = committer.policy.durableEvery !== 'page';
    await committer.ledger.transaction(
      async (transaction) => {
        await write(transaction);
        faultPoint('beforeCommit');
      },
      { ...chunkBounds, waitForDisk },
    );
    faultPoint('afterCommit');
  } catch (error) {
    if (!(error instanceof CommitUnknown) || !(await resolveCommit(committer, lease))) throw error;
  }
}

/**
 * Returns when all that has committed before is as durable as a commit can be: a commit that waits for the disk has
 * everything written before it there too.
 *
 * @throws Fenced, Superseded when another attempt has taken over, or when the database has crashed meanwhile and came back
 *   without the last chunks: in each case the next attempt goes on from the checkpoint.
 */
export async function makeDurable({ ledger }: Committer, lease: Lease): Promise<void> {
  await ledger.transaction((transaction) => touchCheckpoint(transaction, lease));
}

/** Asks the checkpoint until it can be reached, or the retries are used up. */
async function resolveCommit(committer: Committer, lease: Lease): Promise<boolean> {
  const { retry } = committer.policy;
  for (let attempt = 1; ; attempt++) {
    try {
      return await hasCommitted(committer.ledger, lease);
    } catch (error) {
      const passing = failureTypeOf(error) === undefined && committer.classify(error).decision === 'retry';
      if (!passing || attempt > retry.retries) throw error;
    }
    await delay(backoff(retry, attempt));
  }
}
