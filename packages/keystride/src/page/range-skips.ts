import type { PagePolicy } from '../contract/step-activities.ts';
import type { SetAside } from '../job/chunks.ts';
import type { Lease } from '../ledger/checkpoint.ts';
import { recordSkips, reopenSkip, type Skip } from '../ledger/skips.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Committer } from './commit-once.ts';
import { isSkippable, writeSkip } from './write-chunk.ts';

/**
 * Sets rows of a range aside in its transaction. One that comes again and again, since what is followed changes it again
 * and again, has one skip, and counts against the limit once.
 */
export function rangeSkips(
  {
    classify,
    policy,
  }: Pick<Committer, 'classify'> & { readonly policy: Pick<PagePolicy, 'skip' | 'skipLimit'> },
  lease: Lease,
  transaction: Transaction,
  attempt: number,
): SetAside & { readonly skips: readonly Skip[] } {
  const skips: Skip[] = [];
  return {
    skips,
    takes: (error) => policy.skipLimit > 0 && isSkippable(classify(error)),
    note: async (row, error) => {
      const skip = writeSkip({ ...row, item: null }, error, classify(error), attempt);
      if (await reopenSkip(transaction, lease, skip)) return;
      await recordSkips(transaction, lease, [skip], { rate: policy.skip?.rate });
      skips.push(skip);
    },
  };
}
