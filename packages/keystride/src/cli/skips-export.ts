import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { withLedger } from '../operator/ledger.ts';
import { exportedSkips } from '../operator/skips/export.ts';
import type { SkipsOptions } from './skips-options.ts';

/** `keystride skips ID export`: every skip, as it stood at one moment, to stdout. */
export async function exportSkips(id: string, options: SkipsOptions): Promise<void> {
  const format = options.output === 'json' ? 'json' : 'csv';
  await withLedger((ledger) =>
    ledger.transaction(
      async (transaction) => {
        const lines = await exportedSkips(transaction, id, options, format);
        // Waits for a reader that is slower than the ledger, and leaves stdout open.
        await pipeline(Readable.from(lines), process.stdout, { end: false });
      },
      { snapshot: true },
    ),
  );
}
