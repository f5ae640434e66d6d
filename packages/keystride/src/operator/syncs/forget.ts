import type { Authorship } from '../../contract/audit.ts';
import { forgetStream as forget, runningOnStream, type Stream } from '../../ledger/streams.ts';
import { withSession } from '../connection.ts';
import { firstAlive, stillRunning, withLedger } from '../ledger.ts';
import { readStream } from './streams.ts';

/**
 * Takes a stream's offset out of the ledger. Neither the source nor the sink is touched, and the source need not be
 * there. A run that is in flight all the same does not bring the offset back.
 *
 * @returns the stream as it was
 * @throws CommandError while a run of it is going on, or a sync that polls it
 */
export async function forgetStream(name: string, author: Authorship): Promise<Stream> {
  const { stream, running } = await withLedger(async (ledger) => ({
    stream: await readStream(ledger, name),
    running: await runningOnStream(ledger, name),
  }));
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  await withLedger((ledger) => forget(ledger, name, author));
  return stream;
}
