import { sql } from 'kysely';
import { type Cursor, cursorOf, decodeCursor, encodeCursor } from '../contract/cursor.ts';
import { failure } from '../contract/errors.ts';
import { positionOf } from '../stores/postgres/log-position.ts';
import type { StoredRows } from '../stores/postgres/stored-rows.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';
import type { SeenTable } from './seen-table.ts';

/** What is remembered of a stream that follows the log of its source, beside the position. */
export interface LogState {
  /** The ledger that has made the slot, as `ledgerHome` tells it; undefined where one is to take it for its own. */
  readonly home?: string;
  readonly slot: string;
  readonly publication: string;
  /** The publication as it was when the slot was made; null before that. See `publicationMark`. */
  readonly published: string | null;
  /** The tables of the source, in the order in which skips number them. */
  readonly tables: readonly string[];
  /** By their names in the source: what they were at the last look. */
  readonly seen: Readonly<Record<string, SeenTable>>;
  /** The tables are copied, and the log is followed from the position on. */
  readonly copied: boolean;
  /** Where the log was when rows were last copied: past it, the sink is as the source was at one moment. */
  readonly settledAt: string | null;
  /** How the rows of the tables were stored at the last look, to find what rewrites them. */
  readonly stored: Readonly<Record<string, StoredRows>>;
  /** Why nothing can be applied from the position on, where that was met in the log. */
  readonly lost?: string;
}

/** Where a stream stands. */
export interface LogPlace {
  readonly stream: string;
  /** The position; null when nothing is copied. */
  readonly cursor: Cursor | null;
  /** The server, time line and database that it is a position of. */
  readonly place: string | null;
  readonly moves: number;
  readonly state: LogState | null;
  /** Why everything was copied again, if it was. */
  readonly told: readonly string[];
  /** Rows that are to be read again. */
  readonly unsettled: number;
}

/** Where a stream stands, or null when there is none of the name. */
export async function readLogPlace(ledger: Asked, stream: string): Promise<LogPlace | null> {
  const [row] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.stream_offset')
      .select(['cursor', 'moves', 'shape', 'place'])
      .select(({ selectFrom }) =>
        selectFrom('keystride.unsettled_row as row')
          .select(sql<number>`count(*)::int`.as('count'))
          .where('row.stream', '=', stream)
          .as('unsettled'),
      )
      .where('stream', '=', stream),
  );
  if (!row) return null;
  const { log: state = null, told = [] } = (row.shape ?? {}) as {
    readonly log?: LogState;
    readonly told?: readonly string[];
  };
  const { cursor, place, moves, unsettled } = row;
  const at = { stream, cursor: decodeCursor(cursor), place, moves: Number(moves) };
  return { ...at, state, told, unsettled: unsettled ?? 0 };
}

/**
 * Whether a stream has passed a place of the log, all that was copied, and what it had to read again: what its sink has is of
 * one moment then.
 *
 * @param mark the beginning unless given.
 */
export function hasPassed({ cursor, state, unsettled }: LogPlace, mark = positionOf('0/0')): boolean {
  const at = positionOf(cursor?.[0] ?? '0/0');
  return (
    state?.copied === true && unsettled === 0 && at >= mark && at >= positionOf(state.settledAt ?? '0/0')
  );
}

/** Notes what a stream follows, and from where on, unless somebody has moved it meanwhile. @returns whether it did */
export async function noteLog(
  transaction: Transaction,
  { stream, moves }: { readonly stream: string; readonly moves: number },
  cursor: Cursor | null,
  log: LogState,
  told: readonly string[],
): Promise<boolean> {
  const noted = await transaction.run(
    ledgerSql
      .updateTable('keystride.stream_offset')
      .set({
        cursor: encodeCursor(cursor),
        shape: JSON.stringify({ log, told }),
        ...{ inserted: '0', updated: '0', deleted: '0', truncated: '0' },
        moves: sql<string>`moves + 1`,
        updated_at: sql<string>`now()`,
      })
      .where('stream', '=', stream)
      .where('moves', '=', String(moves))
      .returning('moves'),
  );
  return noted.length > 0;
}

/**
 * Moves the position of a stream, in the transaction that applies what lies between: by compare-and-set, so that whatever
 * was applied already is never applied again, whichever run or attempt does it.
 *
 * @returns whether rows are noted that are to be read again.
 * @throws Superseded when it does not stand at `from`.
 */
export async function movePosition(
  transaction: Transaction,
  stream: string,
  from: Cursor,
  to: Cursor,
): Promise<{ readonly unsettled: boolean }> {
  const [moved] = await transaction.run(
    ledgerSql
      .updateTable('keystride.stream_offset')
      .set({ cursor: encodeCursor(to), moves: sql<string>`moves + 1`, updated_at: sql<string>`now()` })
      .where('stream', '=', stream)
      .where('cursor', '=', encodeCursor(from))
      .returning(({ exists, selectFrom }) =>
        exists(
          selectFrom('keystride.unsettled_row as row').select('row.key').where('row.stream', '=', stream),
        ).as('unsettled'),
      ),
  );
  if (moved) return { unsettled: moved.unsettled === true };
  throw failure(
    'Superseded',
    `${stream} does not stand at ${from.join()} any more: another run has moved it, or it was rewound or forgotten.`,
    { retryable: true },
  );
}

/** What was done to rows, and how often tables were emptied. */
export interface ChangeCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly truncated: number;
}

/** Adds to what a stream has applied since its tables were copied. */
export async function countChanges(
  transaction: Transaction,
  stream: string,
  { inserted, updated, deleted, truncated }: ChangeCounts,
): Promise<void> {
  await transaction.query(
    `UPDATE keystride.stream_offset
        SET inserted = inserted + $2, updated = updated + $3, deleted = deleted + $4, truncated = truncated + $5
      WHERE stream = $1`,
    [stream, inserted, updated, deleted, truncated],
  );
}

/** Notes what was seen of a stream beside its position. */
export async function noteSeen(
  transaction: Transaction,
  stream: string,
  {
    place = null,
    ...log
  }: Partial<Pick<LogState, 'home' | 'settledAt' | 'stored' | 'seen' | 'lost'>> & {
    readonly place?: string | null;
  },
): Promise<void> {
  await transaction.query(
    `UPDATE keystride.stream_offset
        SET shape = jsonb_set(shape, '{log}', shape -> 'log' || $2::jsonb), place = coalesce($3, place)
      WHERE stream = $1`,
    [stream, JSON.stringify(log), place],
  );
}

/** A row that is read again when the stream has settled. */
export interface UnsettledRow {
  readonly source: string;
  readonly key: Cursor;
}

export interface NotedRow extends UnsettledRow {
  /** Why, as SQLSTATE; null where the log alone could not say what the row is. */
  readonly code: string | null;
  /** The sink has all of it but a reference that closes a circle. @default false */
  readonly loose?: boolean;
}

/** Notes rows that are to be read again. */
export async function noteUnsettled(
  transaction: Transaction,
  stream: string,
  rows: readonly NotedRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await transaction.query(
    `INSERT INTO keystride.unsettled_row AS noted (stream, source, key, code, loose)
     SELECT $1, source, key, min(code), bool_and(loose)
       FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[]) AS row (source, key, code, loose)
      GROUP BY source, key
     ON CONFLICT (stream, source, key) DO UPDATE SET code = excluded.code, loose = noted.loose AND excluded.loose`,
    [
      stream,
      rows.map(({ source }) => source),
      rows.map(({ key }) => encodeCursor(key)),
      rows.map(({ code }) => code),
      rows.map(({ loose = false }) => loose),
    ],
  );
}

/**
 * The next rows to be read again: those that were tried least first.
 *
 * @param sources the tables, in the order in which their rows are wanted.
 */
export async function readUnsettled(
  ledger: Asked,
  stream: string,
  sources: readonly string[],
  limit: number,
): Promise<readonly (UnsettledRow & { readonly tries: number; readonly code: string | null })[]> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.unsettled_row')
      .select(['source', 'key', 'tries', 'code'])
      .where('stream', '=', stream)
      .orderBy('tries')
      .orderBy(sql`array_position(${[...sources]}::text[], source)`)
      .orderBy('key')
      .limit(limit),
  );
  return rows.map(({ source, key, tries, code }) => ({
    source,
    key: cursorOf(decodeCursor(key) ?? []),
    tries,
    code,
  }));
}

/**
 * Takes rows off the list: they are as the source has them.
 *
 * @param options.loose only those that have lacked nothing but a reference. @default false
 */
export async function settleRows(
  transaction: Transaction,
  stream: string,
  rows: readonly UnsettledRow[],
  { loose = false }: { readonly loose?: boolean } = {},
): Promise<void> {
  if (rows.length === 0) return;
  await transaction.query(
    `DELETE FROM keystride.unsettled_row AS row USING unnest($2::text[], $3::text[]) AS settled (source, key)
      WHERE row.stream = $1 AND row.source = settled.source AND row.key = settled.key${loose ? ' AND row.loose' : ''}`,
    [stream, rows.map(({ source }) => source), rows.map(({ key }) => encodeCursor(key))],
  );
}

/** Counts one more try of rows that were read again, and are on the list once more. */
export async function countTries(
  transaction: Transaction,
  stream: string,
  rows: readonly (UnsettledRow & { readonly tries: number })[],
): Promise<void> {
  if (rows.length === 0) return;
  await transaction.query(
    `UPDATE keystride.unsettled_row AS row SET tries = tried.tries + 1
       FROM unnest($2::text[], $3::text[], $4::int[]) AS tried (source, key, tries)
      WHERE row.stream = $1 AND row.source = tried.source AND row.key = tried.key`,
    [
      stream,
      rows.map(({ source }) => source),
      rows.map(({ key }) => encodeCursor(key)),
      rows.map(({ tries }) => tries),
    ],
  );
}

/** Takes all rows off the list: everything is copied anew. */
export async function forgetUnsettled(transaction: Transaction, stream: string): Promise<void> {
  await transaction.run(ledgerSql.deleteFrom('keystride.unsettled_row').where('stream', '=', stream));
}

/** An id of the ledger, for what is named after a stream elsewhere: two ledgers never share it. */
export async function ledgerId(ledger: Asked): Promise<string> {
  const [row] = await ledger.run(ledgerSql.selectFrom('keystride.ledger').select('id'));
  return row?.id ?? '';
}

/** Makes a copy of a ledger another one: nothing that is named after the first is taken for its own. */
export async function giveOtherId(ledger: Asked): Promise<void> {
  await ledger.run(ledgerSql.updateTable('keystride.ledger').set({ id: sql<string>`gen_random_uuid()` }));
}
