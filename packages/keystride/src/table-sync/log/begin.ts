import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Cursor } from '../../contract/cursor.ts';
import { failure } from '../../contract/errors.ts';
import type { SyncStart } from '../../contract/sync.ts';
import {
  forgetUnsettled,
  ledgerId,
  type LogPlace,
  noteLog,
  noteSeen,
  readLogPlace,
} from '../../ledger/log.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { SeenTable } from '../../ledger/seen-table.ts';
import { ledgerHome, ownershipOf } from '../../ledger/home.ts';
import { openOffset } from '../../ledger/offset.ts';
import { runningOnStream } from '../../ledger/streams.ts';
import { isTried } from '../../ledger/trial.ts';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import { type LogPosition, positionOf } from '../../stores/postgres/log-position.ts';
import {
  createSlot,
  dropSlot,
  ensurePublication,
  logMoment,
  publicationMark,
  publicationStatement,
} from '../../stores/postgres/replication-slot.ts';
import { storedRows } from '../../stores/postgres/stored-rows.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { invalid } from '../tables.ts';
import { cursorAt } from './batch.ts';
import { refuseUncopyable } from './circles.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';
import { anotherSource, isTheSame, lookAtTables } from './look.ts';
import { nameInSource } from './names.ts';
import { seenFirst } from './seen.ts';
import { refuseActingSink, refuseNested, refuseSilentSource, refuseUnfollowable } from './refusals.ts';

/** Where a run that follows the log begins. */
export interface LogStart extends SyncStart {
  /** It is only tried, by `keystride plan`. */
  readonly tried?: true;
}

/**
 * Finds the position that the run before has left, with a slot that still has what follows; or makes a slot, from which on
 * all changes are told, and lets everything be copied.
 *
 * @throws JobParametersInvalid for what cannot be followed, with what would mend it.
 */
export async function beginLog(
  transaction: Transaction,
  followed: FollowedTables,
  instance: string,
): Promise<LogStart> {
  const { stream, source, tables } = followed;
  await refuse(followed);
  const found = await readLogPlace(transaction, stream);
  const home = await ledgerHome(transaction);
  const ownership = ownershipOf(stream, found?.state?.home, home);
  if (ownership.is === 'doubtful') throw invalid(ownership.why);
  const others = (await runningOnStream(transaction, stream)).filter((other) => other.instance !== instance);
  if (others[0])
    throw invalid(
      `${others[0].instance} is following ${stream}: stop it first, or let it go on (${others[0].workflowId})`,
    );
  const { place } = await logMoment(source);
  const isFailedOver = found !== null && found.place !== place && (await isTheSame(source, found, place));
  if (isFailedOver) await noteSeen(transaction, stream, { place });
  const before = isFailedOver ? { ...found, place } : found;
  const table = tables.map((one) => one.source).join(',');
  const { cursor, moves } = await openOffset(transaction, stream, { place, table, key: [] });
  const start = { stream, moves, since: null, behind: false, heldBackBy: null };
  if (await isTried(transaction, instance))
    return { ...start, from: null, horizon: '0', told: [], tried: true };
  const slot = nameInSource(stream, await ledgerId(transaction));
  const told =
    ownership.is === 'anothers'
      ? anew('the ledger is another one than that which has made the slot')
      : await whyAnew(followed, before, { place, cursor, slot });
  if (told === null) await noteSeen(transaction, stream, { home });
  if (told === null) return { ...start, from: cursor, horizon: '0', told: isFailedOver ? [failedOver] : [] };
  await refuseUncopyable(followed.database, tables);
  const log = {
    ...{ home, slot, publication: slot, published: null },
    ...{ copied: false, settledAt: null, stored: {}, seen: {} },
    tables: tables.map((one) => one.source),
  };
  if (!(await noteLog(transaction, { stream, moves }, null, log, told)))
    throw invalid(`${stream} was moved while this run began; start it again`);
  await forgetUnsettled(transaction, stream);
  const since = (await anyRows(followed)) ? 'all' : null;
  return { ...start, moves: moves + 1, from: null, since, horizon: '0', told };
}

/**
 * Makes the slot of a stream of which everything is to be copied. Nothing may be read of the tables before it has answered,
 * and no transaction of the caller may be open: a slot waits for all that write in its server.
 */
export async function openLog(ledger: Ledger, { stream, source, tables }: FollowedTables): Promise<void> {
  const place = await readLogPlace(ledger, stream);
  if (!place?.state || place.state.copied)
    throw invalid(`${stream} was moved while this run began; start the next`);
  await requireHome(ledger, place, place.state.home);
  const stored = await storedRows(
    source,
    tables.map((table) => table.source),
  );
  const seen: Record<string, SeenTable> = {};
  for (const table of tables) seen[table.source] = seenFirst(await table.look());
  const position = await makeSlot(source, place.state.slot, tables);
  const published = await publicationMark(source, place.state.publication);
  const state = { ...place.state, published, stored, seen };
  const noted = await ledger.transaction((transaction) =>
    noteLog(transaction, place, cursorAt(position), state, place.told),
  );
  if (!noted) throw invalid(`${stream} was moved while this run began; start the next`);
  await untilSeen(source);
}

/**
 * Before a slot is touched: a database may have been put in the place of the ledger's while a run goes on.
 *
 * @throws OtherLedger, to be tried again: another worker may be set up rightly
 */
export async function requireHome(
  ledger: Ledger,
  { stream }: Pick<LogPlace, 'stream'>,
  made: string | undefined,
): Promise<void> {
  const ownership = ownershipOf(stream, made, await ledgerHome(ledger));
  if (ownership.is === 'ours') return;
  const why = ownership.is === 'doubtful' ? ownership.why : `${stream}: its slot is another ledger's`;
  throw failure('OtherLedger', why, { retryable: true });
}

/** How often it is looked whether transactions have ended, in milliseconds. */
const lookMs = 200;

/**
 * Waits for the transactions that write now: one of them may have committed before the position of a slot, where nothing is
 * told of it, and not be seen yet.
 */
async function untilSeen(source: pg.Pool): Promise<void> {
  const moment = async () => {
    const { rows } = await source.query<{ oldest: string; next: string }>(
      `SELECT pg_snapshot_xmin(snapshot)::text AS oldest, pg_snapshot_xmax(snapshot)::text AS next
         FROM pg_current_snapshot() AS snapshot`,
    );
    return { oldest: BigInt(rows[0]?.oldest ?? 0), next: BigInt(rows[0]?.next ?? 0) };
  };
  const { next } = await moment();
  while ((await moment()).oldest < next) await delay(lookMs);
}

async function refuse({ source, database, tables }: FollowedTables): Promise<void> {
  await refuseSilentSource(source);
  await refuseNested(source, tables);
  for (const table of tables) {
    await table.look();
    await refuseUnfollowable(source, table);
    await refuseActingSink(database, table.sink.table);
  }
}

/**
 * Why everything is copied anew, in words; null where the stream goes on.
 *
 * @throws JobParametersInvalid where it would, once the sink has what the source has by now.
 */
async function whyAnew(
  followed: FollowedTables,
  before: LogPlace | null,
  now: { readonly place: string; readonly cursor: Cursor | null; readonly slot: string },
): Promise<string[] | null> {
  if (!before || before.cursor === null) return [];
  if (before.place !== now.place || now.cursor === null) return anew(anotherSource);
  if (!before.state?.copied) return anew('the copy before was not finished');
  const state = { ...before.state, slot: now.slot };
  const { problem, wanted } = await lookAtTables(followed, state, positionOf(before.cursor[0] ?? ''));
  if (wanted !== null) throw invalid(wanted);
  return problem === null ? null : anew(problem);
}

const failedOver =
  'the source was failed over to a standby that has all that was applied: the stream goes on there';

function anew(reason: string): string[] {
  return [`${reason}: everything is copied again`];
}

/** @returns the position that all that is told comes after. */
async function makeSlot(
  source: pg.Pool,
  slot: string,
  tables: readonly FollowedTable[],
): Promise<LogPosition> {
  const names = tables.map((table) => table.source);
  try {
    // The log is read with the publications that there were at each place of it.
    await ensurePublication(source, slot, names);
  } catch (error) {
    if ((error as { code?: unknown }).code !== '42501') throw error;
    throw invalid(
      `the role may not publish the tables of the source. Their owner may: ${await publicationStatement(source, slot, names)}`,
    );
  }
  await dropSlot(source, slot);
  return ((await createSlot(source, slot)) - 1n) as LogPosition;
}

async function anyRows({ database, tables }: FollowedTables): Promise<boolean> {
  for (const { sink } of tables) {
    const { rows } = await database.query<{ any: boolean }>(
      `SELECT EXISTS (SELECT FROM ${quotedTable(sink.table)}) AS any`,
    );
    if (rows[0]?.any) return true;
  }
  return false;
}
