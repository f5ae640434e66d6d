import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { csvLine } from './csv.ts';
import { jsonText } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import { allSkips, type ExportedSkip } from '../ledger/skip-list.ts';
import { findInstance, withLedger } from './skips-ledger.ts';

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
] as const satisfies readonly (keyof ExportedSkip)[];

/** `keystride skips ID export`: every skip, as it stood at one moment, to stdout. */
export async function exportSkips(id: string, options: SkipsOptions): Promise<void> {
  await withLedger((ledger) =>
    ledger.transaction(
      async (transaction) => {
        const rows = allSkips(transaction, await findInstance(transaction, id), options);
        const lines = options.output === 'json' ? jsonLines(rows) : csvLines(rows);
        // Waits for a reader that is slower than the ledger, and leaves stdout open.
        await pipeline(Readable.from(lines), process.stdout, { end: false });
      },
      { snapshot: true },
    ),
  );
}

async function* csvLines(rows: AsyncIterable<ExportedSkip>): AsyncGenerator<string> {
  yield csvLine(columns);
  for await (const row of rows) yield csvLine(columns.map((column) => row[column]));
}

async function* jsonLines(rows: AsyncIterable<ExportedSkip>): AsyncGenerator<string> {
  for await (const row of rows) yield `${jsonText(row)}\n`;
}
