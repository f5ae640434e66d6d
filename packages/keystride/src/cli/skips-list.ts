import { shellWord } from '../contract/shell.ts';
import { count, plain, table } from './format.ts';
import { printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  type Cause,
  causesOf,
  countByStatus,
  firstSkips,
  type SkippedItem,
  type SkipStatus,
} from '../ledger/skip-list.ts';
import { findInstance, withLedger } from './skips-ledger.ts';
import { keystride } from './called-as.ts';

interface SkipList extends Record<SkipStatus, number> {
  readonly instance: string;
  readonly total: number;
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
}

/** `keystride skips ID list`: the causes, and the first items. */
export async function listSkips(id: string, options: SkipsOptions): Promise<void> {
  const list = await withLedger((ledger) => readSkips(ledger, id, options));
  if (options.output === 'json') return printJson(list);
  show(list);
}

/** All of it at one moment. */
function readSkips(ledger: Ledger, id: string, options: SkipsOptions): Promise<SkipList> {
  return ledger.transaction(
    async (transaction) => {
      const instance = await findInstance(transaction, id);
      const counts = await countByStatus(transaction, instance, options);
      return {
        instance,
        total: counts.open + counts.redriven + counts.waived,
        ...counts,
        causes: await causesOf(transaction, instance, options),
        skips: await firstSkips(transaction, instance, options, options.limit),
      };
    },
    { snapshot: true },
  );
}

function show({ instance, total, open, redriven, waived, causes, skips }: SkipList): void {
  const settled = [
    ...(redriven > 0 ? [`${count(redriven)} redriven`] : []),
    ...(waived > 0 ? [`${count(waived)} waived`] : []),
  ];
  const states = settled.length > 0 ? `: ${[`${count(open)} open`, ...settled].join(', ')}` : '';
  printLine(`${instance}: ${count(total)} skipped${states}`);
  if (total === 0) return;
  printLine();
  const byCause = causes.map((cause) => [
    count(cause.count),
    count(cause.open),
    plain(cause.code),
    // Whole, as --fingerprint and --key take them.
    shellWord(cause.fingerprint),
  ]);
  for (const line of table(['items', 'open', 'code', 'cause'], byCause)) printLine(line);
  if (skips.length > 0) showItems(skips, total);
  if (open > 0) printLine(`\n  next  ${keystride} skips ${shellWord(instance)} redrive`);
}

function showItems(skips: readonly SkippedItem[], total: number): void {
  printLine();
  const items = skips.map((skip) => [
    plain(skip.step),
    skip.phase,
    skip.status,
    plain(skip.code),
    plain(skip.message),
    shellWord(skip.key),
  ]);
  for (const line of table(['step', 'phase', 'state', 'code', 'message', 'key'], items)) printLine(line);
  if (skips.length < total) printLine(`… and ${count(total - skips.length)} more; --limit shows them`);
}
