import type { Ledger } from '../../ledger/ledger.ts';
import {
  type Cause,
  causesOf,
  countByStatus,
  firstSkips,
  type SkipFilter,
  type SkippedItem,
  type SkipStatus,
} from '../../ledger/skip-list.ts';
import { findInstance } from '../ledger.ts';

/** The skips of an instance: by cause, and the first of them. */
export interface SkipList extends Record<SkipStatus, number> {
  readonly instance: string;
  readonly total: number;
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
}

/**
 * All of it at one moment.
 * @throws CommandError when the ledger does not know the instance
 */
export function readSkips(
  ledger: Ledger,
  id: string,
  filter: SkipFilter & { readonly limit: number },
): Promise<SkipList> {
  return ledger.transaction(
    async (transaction) => {
      const instance = await findInstance(transaction, id);
      const counts = await countByStatus(transaction, instance, filter);
      return {
        instance,
        total: counts.open + counts.redriven + counts.waived,
        ...counts,
        causes: await causesOf(transaction, instance, filter),
        skips: await firstSkips(transaction, instance, filter, filter.limit),
      };
    },
    { snapshot: true },
  );
}
