import type { Ledger } from '../../ledger/ledger.ts';
import { type Cause, causesOf } from '../../ledger/skip-causes.ts';
import { countedSkips, type SkipFilter, type SkipStatus } from '../../ledger/skip-filter.ts';
import { countByStatus, pageOfSkips, type SkippedItem } from '../../ledger/skip-list.ts';
import { countUpTo } from '../format.ts';
import { findInstance } from '../ledger.ts';

/** The skips of an instance: by cause, and some of them. */
export interface SkipList extends Readonly<Record<SkipStatus, number>> {
  readonly instance: string;
  readonly total: number;
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
  /** What `after` takes to go on; null when these are the last. */
  readonly next: string | null;
}

/** Which skips of a list are read. */
export interface SkipRange extends SkipFilter {
  readonly limit: number;
  /** Where the list before it ended. */
  readonly after?: string | undefined;
}

/**
 * All of it at one moment.
 * @throws CommandError when the ledger does not know the instance
 */
export function readSkips(ledger: Ledger, id: string, range: SkipRange): Promise<SkipList> {
  return ledger.transaction(
    async (transaction) => {
      const instance = await findInstance(transaction, id);
      const counts = await countByStatus(transaction, instance, range);
      return {
        instance,
        total: counts.open + counts.redriven + counts.waived,
        ...counts,
        causes: await causesOf(transaction, instance, range),
        ...(await pageOfSkips(transaction, instance, range, range)),
      };
    },
    { snapshot: true },
  );
}

/** What is open of all instances: by cause, and some of it. */
export interface OpenSkips {
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
  readonly next: string | null;
}

/** All of it at one moment; the state in the range is not looked at. */
export function readOpenSkips(ledger: Ledger, range: SkipRange): Promise<OpenSkips> {
  const open = { ...range, status: 'open' as const };
  return ledger.transaction(
    async (transaction) => ({
      causes: await causesOf(transaction, undefined, open),
      ...(await pageOfSkips(transaction, undefined, open, range)),
    }),
    { snapshot: true },
  );
}

/** A number of skips as it is told: they are counted so far and no further. */
export function skipCount(skips: number): string {
  return countUpTo(skips, countedSkips);
}
