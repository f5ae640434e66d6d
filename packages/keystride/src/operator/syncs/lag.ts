import pg from 'pg';
import { type Stream, readStreams } from '../../ledger/streams.ts';
import { CommandError } from '../command-error.ts';
import { reasonOf } from '../explain.ts';
import { keepingSlots, type KeepingSlot, lostText } from '../../stores/postgres/replication-slot.ts';
import { isStandby } from '../../stores/postgres/standby.ts';
import { count, countUpTo, duration } from '../format.ts';
import { withLedger } from '../ledger.ts';
import { countSeconds, keySql, withSource } from './streams.ts';

/** Rows above an offset are counted so far. */
export const countedUpTo = 100_000;

interface Lag {
  /** Rows of the source above the offset; at most `countedUpTo` + 1, which says that there are more. Null in a log. */
  readonly rowsAbove: number | null;
  /** Bytes of the source's log after the position, which it keeps, of one that follows it. */
  readonly bytesBehind?: number;
  /** What the source keeps of its log for it: more than it is behind by, as the log is kept from a checkpoint on. */
  readonly kept?: KeepingSlot;
  readonly secondsSinceMoved: number;
}

export interface StreamLag extends Stream {
  /** Null where the source could not tell: `problem` says why. */
  readonly lag: Lag | null;
  readonly problem: string | null;
}

/** The transaction of the source that has been open for longest: its rows come when it has committed. */
export interface OldestTransaction {
  readonly processId: number;
  readonly application: string | null;
  readonly seconds: number;
}

/** The streams of all syncs, as they stand. */
export interface SyncLag {
  readonly streams: readonly StreamLag[];
  /** Null where the source has none, or cannot be asked. */
  readonly oldestTransaction: OldestTransaction | null;
  /** Slots in the source, named as ours, that no stream of this ledger has. */
  readonly slotsLeft: readonly KeepingSlot[];
}

/** One stream that is broken, or a source that is away, hides none of the others. */
export async function readSyncs(): Promise<SyncLag> {
  const streams = await withLedger(readStreams);
  return withSource(async (client) => {
    const slots = await slotsIn(client);
    return {
      streams: await lagsOf(client, streams, slots),
      oldestTransaction: await oldestTransaction(client),
      slotsLeft: slots.filter(({ slot: name }) => !streams.some(({ slot }) => slot === name)),
    };
  }).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    const broken = streams.map((stream) => brokenBy(error, stream));
    return { streams: broken, oldestTransaction: null, slotsLeft: [] };
  });
}

/** One of them. */
export async function readSync(stream: Stream): Promise<StreamLag> {
  const read = async (client: pg.Client) => lagsOf(client, [stream], await slotsIn(client));
  const [found] = await withSource(read).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    return [brokenBy(error, stream)];
  });
  return found as StreamLag;
}

/** A standby has no log of its own to keep: it tells where it is when it is promoted. */
async function slotsIn(client: pg.Client): Promise<readonly KeepingSlot[]> {
  return (await isStandby(client)) ? [] : keepingSlots(client);
}

async function lagsOf(
  client: pg.Client,
  streams: readonly Stream[],
  slots: readonly KeepingSlot[],
): Promise<StreamLag[]> {
  const found: StreamLag[] = [];
  for (const stream of streams) {
    try {
      const kept = slots.find(({ slot }) => slot === stream.slot);
      const lag =
        stream.slot === null ? await rowsBehind(client, stream) : await bytesBehind(client, stream, kept);
      found.push({ ...stream, lag, problem: null });
    } catch (error) {
      found.push(brokenBy(error, stream));
    }
  }
  return found;
}

function brokenBy(error: unknown, stream: Stream): StreamLag {
  return { ...stream, lag: null, problem: problemOf(error, stream) };
}

function problemOf(error: unknown, { table: name }: Stream): string {
  if (error instanceof CommandError) return error.message;
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  if (code === '42501') return `the role may not read ${name} of the source`;
  if (code === '57014') return `counting the rows of ${name} took the source more than ${countSeconds} s`;
  return `the source cannot be asked for ${name}: ${code === '' ? reasonOf(error) : `SQLSTATE ${code}`}`;
}

async function rowsBehind(client: pg.Client, stream: Stream): Promise<Lag> {
  const { cursor, movedAt } = stream;
  const key = await keySql(client, stream);
  const above = cursor ? `where (${key.columns.join(', ')}) > (${key.values(1)})` : '';
  const { rows } = await client.query<{ rows: number }>(
    `select count(*)::int as rows from (select from ${key.table} ${above} limit ${countedUpTo + 1}) as above`,
    cursor ? [...cursor] : [],
  );
  return { rowsAbove: rows[0]?.rows ?? 0, secondsSinceMoved: secondsSince(movedAt) };
}

/** @throws CommandError when the source does not have the slot any more, or not all that it would have to tell */
async function bytesBehind(
  client: pg.Client,
  { cursor, movedAt, slot }: Stream,
  kept: KeepingSlot | undefined,
): Promise<Lag> {
  // Asked of a standby it is refused, by name.
  const { rows } = await client.query<{ behind: string }>(
    'select pg_wal_lsn_diff(pg_current_wal_lsn(), $1::text::pg_lsn)::bigint::text as behind',
    [cursor?.[0] ?? kept?.confirmed ?? '0/0'],
  );
  if (kept === undefined || kept.lost !== null)
    throw new CommandError({
      what: kept?.lost ? lostText(kept.slot, kept.lost) : `the source has no replication slot ${slot}`,
      todo: 'Start the next run: it copies everything again',
    });
  return {
    ...{ rowsAbove: null, secondsSinceMoved: secondsSince(movedAt) },
    ...{ bytesBehind: Math.max(0, Number(rows[0]?.behind ?? 0)), kept },
  };
}

/** What a stream is behind by, in words: rows above its offset, or bytes of the log. */
export function behindText(lag: Lag | null): string {
  if (lag === null) return 'unknown';
  if (lag.bytesBehind !== undefined) return `${count(Math.ceil(lag.bytesBehind / 1024))} kB of log`;
  return lag.rowsAbove === null ? 'unknown' : countUpTo(lag.rowsAbove, countedUpTo);
}

/** Where a stream that follows a log stands, in words: its position, what it is behind by, and what it has applied. */
export function followedText({ cursor, lag, rows, movedAt, problem }: StreamLag): string {
  const moved = duration((lag?.secondsSinceMoved ?? secondsSince(movedAt)) * 1000);
  const applied = Object.entries(rows ?? {}).map(([what, number]) => `${count(number)} ${what}`);
  return [
    `at ${cursor?.join() ?? 'no position'}`,
    problem ?? `${behindText(lag)} behind`,
    `moved ${moved} ago`,
    ...(lag?.kept ? [keptText(lag.kept)] : []),
    `since the copy ${applied.join(', ')}`,
  ].join('; ');
}

/** What a source keeps for a slot, and how long it does, in words. */
export function keptText({ slot, keptBytes, safeBytes, lost }: KeepingSlot): string {
  if (lost !== null) return lostText(slot, lost);
  if (keptBytes === null) return 'the source does not tell what it keeps for it';
  const limit =
    safeBytes === null
      ? 'without a limit: set max_slot_wal_keep_size there'
      : `and gives it up after ${megabytes(Math.max(0, safeBytes))} more`;
  return `the source keeps ${megabytes(keptBytes)} of log for it, ${limit}`;
}

/** How a slot may be read by nobody of this ledger, and be dropped. */
export function leftText(kept: KeepingSlot): string {
  const { slot } = kept;
  return (
    `replication slot ${slot} is of no stream of this ledger: ${keptText(kept)}. ` +
    `If it is of no other ledger's either: SELECT pg_drop_replication_slot('${slot}')`
  );
}

function megabytes(bytes: number): string {
  return `${count(Math.ceil(bytes / 1024 / 1024))} MB`;
}

/** Whole seconds since an ISO time. */
export function secondsSince(time: string): number {
  return Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
}

async function oldestTransaction(client: pg.Client): Promise<OldestTransaction | null> {
  const { rows } = await client.query<OldestTransaction>(
    `select pid as "processId", nullif(application_name, '') as application,
            extract(epoch from clock_timestamp() - xact_start)::int as seconds
       from pg_stat_activity where backend_xid is not null and xact_start is not null
      order by xact_start limit 1`,
  );
  return rows[0] ?? null;
}
