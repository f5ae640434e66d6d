import { shellWord } from '../contract/shell.ts';
import type { SkippedItem } from '../ledger/skip-list.ts';
import { keystride } from '../operator/called-as.ts';
import { plain, table } from '../operator/format.ts';
import { withLedger } from '../operator/ledger.ts';
import { readSkips, skipCount, type SkipList } from '../operator/skips/list.ts';
import { printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips-options.ts';

/** `keystride skips ID list`: the causes, and the first items. */
export async function listSkips(id: string, options: SkipsOptions): Promise<void> {
  const list = await withLedger((ledger) => readSkips(ledger, id, options));
  if (options.output === 'json') return printJson(list);
  show(list);
}

function show({ instance, total, open, redriven, waived, causes, skips }: SkipList): void {
  const settled = [
    ...(redriven > 0 ? [`${skipCount(redriven)} redriven`] : []),
    ...(waived > 0 ? [`${skipCount(waived)} waived`] : []),
  ];
  const states = settled.length > 0 ? `: ${[`${skipCount(open)} open`, ...settled].join(', ')}` : '';
  printLine(`${instance}: ${skipCount(total)} skipped${states}`);
  if (total === 0) return;
  printLine();
  const byCause = causes.map((cause) => [
    skipCount(cause.count),
    skipCount(cause.open),
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
  if (skips.length < total) printLine(`… and ${skipCount(total - skips.length)} more; --limit shows them`);
}
