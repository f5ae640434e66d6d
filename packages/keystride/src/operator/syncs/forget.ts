import pg from 'pg';
import type { Authorship } from '../../contract/audit.ts';
import { ledgerHome, ownershipOf } from '../../ledger/home.ts';
import { readLogPlace } from '../../ledger/log.ts';
import { forgetStream as forget, runningOnStream, type Stream } from '../../ledger/streams.ts';
import { CommandError } from '../command-error.ts';
import { withSession } from '../connection.ts';
import { dropSlot } from '../../stores/postgres/replication-slot.ts';
import { firstAlive, stillRunning, withLedger } from '../ledger.ts';
import { readStream, withSource } from './streams.ts';

/**
 * Takes a stream's offset out of the ledger, and what one that follows the log has in its source: its slot, which keeps log
 * there, and its publication, unless another ledger has made them. Nothing else is touched; the source of another one need
 * not be there. A run that is in flight all the same does not bring the offset back.
 *
 * @returns the stream as it was
 * @throws CommandError while a run of it is going on, or a sync that polls it; in a copy of the ledger that has made its slot
 */
export async function forgetStream(name: string, author: Authorship): Promise<Stream> {
  const { stream, running, ownership } = await withLedger(async (ledger) => ({
    stream: await readStream(ledger, name),
    running: await runningOnStream(ledger, name),
    ownership: ownershipOf(name, (await readLogPlace(ledger, name))?.state?.home, await ledgerHome(ledger)),
  }));
  if (ownership.is === 'doubtful')
    throw new CommandError({ what: ownership.why, todo: 'Say which of the two it is, and ask again' });
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  const { slot } = stream;
  if (slot !== null && ownership.is === 'ours') await withSource((client) => dropReading(client, slot));
  await withLedger((ledger) => forget(ledger, name, author));
  return stream;
}

/** Drops a slot and the publication of its name. */
async function dropReading(client: pg.Client, slot: string): Promise<void> {
  await dropSlot(client, slot);
  await client.query(`DROP PUBLICATION IF EXISTS ${pg.escapeIdentifier(slot)}`);
}
