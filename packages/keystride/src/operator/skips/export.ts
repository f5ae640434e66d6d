import type { SkipFilter } from '../../ledger/skip-filter.ts';
import { allSkips, type SkippedItem } from '../../ledger/skip-list.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { csvLine } from '../csv.ts';
import { jsonText } from '../format.ts';
import { findInstance } from '../ledger.ts';

const columns = [
  'instance',
  'step',
  'key',
  'phase',
  'code',
  'fingerprint',
  'message',
  'partition',
  'attempts',
  'status',
  'at',
  'settledAt',
  'settledBy',
  'reason',
] as const satisfies readonly (keyof SkippedItem)[];

/**
 * Every skip of an instance, in lines: CSV with a head, or one JSON value a line.
 * @throws CommandError when the ledger does not know the instance
 */
export async function exportedSkips(
  ledger: Transaction,
  id: string,
  filter: SkipFilter,
  format: 'csv' | 'json',
): Promise<AsyncIterable<string>> {
  const rows = allSkips(ledger, await findInstance(ledger, id), filter);
  return format === 'json' ? jsonLines(rows) : csvLines(rows);
}

async function* csvLines(rows: AsyncIterable<SkippedItem>): AsyncGenerator<string> {
  yield csvLine([...columns, 'item']);
  for await (const { item, ...row } of rows)
    yield csvLine([...columns.map((column) => row[column]), item === null ? null : JSON.stringify(item)]);
}

async function* jsonLines(rows: AsyncIterable<SkippedItem>): AsyncGenerator<string> {
  for await (const row of rows) yield `${jsonText(row)}\n`;
}
