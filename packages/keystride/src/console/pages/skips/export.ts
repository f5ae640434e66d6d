import { exportedSkips } from '../../../operator/skips/export.ts';
import { findInstance, withLedger, withOwnLedger } from '../../../operator/ledger.ts';
import type { Content } from '../../view.ts';
import { visitOf } from '../../visit.ts';
import { type AskedSkips, askedSkips } from './filter.ts';

/** Characters that are sent at a time. */
const piece = 64 * 1024;

/** The skips of an instance as CSV: as they stand at one moment, sent while they are read. */
export const exportContent: Content = (app, { services, readOnly }) => {
  app.get('/skips/:id/export.csv', async (context) => {
    const visit = visitOf(context, services, { readOnly });
    // Whoever asks for an unknown one is told so, and gets no file.
    const instance = await withLedger((ledger) => findInstance(ledger, visit.param('id')));
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    void send(instance, askedSkips(visit), writable);
    return context.body(readable, 200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="skips-${fileName(instance)}.csv"`,
    });
  });
};

async function send(instance: string, asked: AskedSkips, to: WritableStream<Uint8Array>): Promise<void> {
  const writer = to.getWriter();
  const encoder = new TextEncoder();
  try {
    await withOwnLedger((ledger) =>
      ledger.transaction(
        async (transaction) => {
          let text = '';
          for await (const line of await exportedSkips(transaction, instance, asked, 'csv')) {
            text += line;
            if (text.length < piece) continue;
            // Waits for a browser that is slower than the ledger, and fails when that has gone.
            await writer.write(encoder.encode(text));
            text = '';
          }
          await writer.write(encoder.encode(text));
        },
        { snapshot: true },
      ),
    );
    await writer.close();
  } catch (error) {
    // A file that ends early must not look like a whole one: the connection breaks.
    await writer.abort(error).catch(() => undefined);
  }
}

/** What every system takes in the name of a file. */
function fileName(instance: string): string {
  return instance.replaceAll(/[^\w.=-]/gu, '_').slice(0, 100);
}
