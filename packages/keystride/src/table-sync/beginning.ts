import type { SyncParameters, SyncStart } from '../contract/sync.ts';
import type { Reader } from '../contract/reader.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { findOffset, noteNothingDue, noteShape, openOffset, type StreamOffset } from '../ledger/offset.ts';
import { isComparable, type Moment, openTransaction, takeMoment } from '../stores/postgres/horizon.ts';
import { requireReplayed } from '../stores/postgres/standby.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { CopiedTables } from './copied-tables.ts';
import { changesSince, type ShapeChanges, type StreamShape, takeShape } from './shape.ts';
import type { Sync } from './sync.ts';
import type { SyncRow } from './sync-row.ts';
import type pg from 'pg';

/** A transaction that is open for longer than this is worth telling of, in seconds. */
const longOpen = 5;

/** Notes where a run begins. */
export async function beginRun(
  transaction: Transaction,
  sync: Sync,
  instance: string,
  parameters: SyncParameters,
): Promise<SyncStart> {
  const { stream, source } = sync;
  const { moment, shape, offset, changes, from, since } = await beginningOf(sync, parameters, (place) =>
    openOffset(transaction, stream, { ...source, place }),
  );
  const heldBackBy = await longTransaction(source.pool, moment, offset.horizon);
  const told = [
    ...changes.again.map((reason) => `${reason}: everything is copied again`),
    ...changes.noted,
    ...(shape.source.policies === null ? [] : [rowSecurity]),
  ];
  await noteShape(transaction, instance, { ...shape, told });
  return {
    ...{ stream, from, moves: offset.moves, horizon: moment.horizon, written: moment.written },
    ...{ since, behind: heldBackBy !== null, heldBackBy, joined: changes.joined, told },
  };
}

/** What a run that begins now meets, and where it goes on. */
async function beginningOf(
  { source, tables }: Sync,
  { mode, sweepSeconds }: SyncParameters,
  offsetAt: (place: string) => Promise<StreamOffset>,
) {
  // Before anything is read: what commits from here on is the next run's, whether this one sees it or not.
  const moment = await takeMoment(source.pool, source.table);
  const shape = await takeShape(tables, moment, mode);
  const offset = await offsetAt(moment.place);
  const { cursor, horizon, sweptSecondsAgo } = offset;
  const before = offset.shape as StreamShape | null;
  if (before) await requireReplayed(source.pool, before.source.moment.written);
  // Without a horizon that can be compared nobody knows what is missing below the offset.
  const known = mode !== 'bulk' && cursor !== null && horizon !== null && isComparable(horizon, moment);
  const changes = known ? await changesOf(tables, before, shape, horizon) : none;
  const from = known && changes.again.length === 0 ? cursor : null;
  const sweeps = sweptSecondsAgo === null || sweptSecondsAgo >= sweepSeconds;
  return { moment, shape, offset, changes, from, since: from && sweeps ? horizon : null };
}

/**
 * Whether a run that begins now would copy a row, or has a change to tell. It looks as a run does, and moves nothing; where
 * nothing is due, that is noted for whoever asks how far behind the stream is.
 */
export async function isDue(
  ledger: Ledger,
  sync: Sync,
  parameters: SyncParameters,
  signal: AbortSignal,
): Promise<boolean> {
  const due = await findsSomething(ledger, sync, parameters, signal);
  if (!due) await noteNothingDue(ledger, sync.stream);
  return due;
}

async function findsSomething(
  ledger: Ledger,
  sync: Sync,
  parameters: SyncParameters,
  signal: AbortSignal,
): Promise<boolean> {
  const { source, stream } = sync;
  const { offset, changes, from, since } = await beginningOf(
    sync,
    parameters,
    async (place) => (await findOffset(ledger, stream, place)) ?? unread,
  );
  // Everything is to be copied again.
  if (from === null && offset.cursor !== null) return true;
  const finds = async (reader: Reader<SyncRow>) =>
    (await reader.plan({ partitions: 1, signal })).ranges.length > 0;
  if (await finds(source.above(from))) return true;
  // What else has changed is remembered by a run that sweeps.
  if (from === null || since === null) return false;
  return changes.noted.length > 0 || finds(source.late(from, { horizon: since, joined: changes.joined }));
}

const unread: StreamOffset = { cursor: null, horizon: null, sweptSecondsAgo: null, moves: 0, shape: null };

const none: ShapeChanges = { again: [], joined: [], noted: [] };

/** A policy may ask other tables, settings and functions, and nobody tells when their answers change. */
const rowSecurity =
  'row security decides which rows of the source the role sees: rows that it begins to show later, without a change of ' +
  'its policies, are not found. Use a role with BYPASSRLS, or mode=bulk';

async function changesOf(
  tables: CopiedTables,
  before: StreamShape | null,
  now: StreamShape,
  horizon: string,
): Promise<ShapeChanges> {
  if (before) return changesSince(tables, before, now, horizon);
  return {
    ...none,
    noted: [
      'how source and sink were made up at the run before is not known: columns that were added and partitions that ' +
        'were attached before this run are not found. To be sure, rewind the stream to its start',
    ],
  };
}

/** The oldest open transaction, if it is open for long or already was when the last run began. */
async function longTransaction(pool: pg.Pool, moment: Moment, before: string | null) {
  const open = await openTransaction(pool, moment);
  if (!open) return null;
  return (open.seconds ?? 0) >= longOpen || moment.horizon === before ? open : null;
}
