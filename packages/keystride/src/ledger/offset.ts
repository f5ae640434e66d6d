import { sql } from 'kysely';
import { type Cursor, decodeCursor, encodeCursor } from '../contract/cursor.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Ledger } from './ledger.ts';

/** What a stream is read from. */
export interface StreamSource {
  /** Which table of which database it is; offsets of another one do not hold for it. */
  readonly place: string;
  readonly table: string;
  readonly key: readonly string[];
}

/** How far the runs of a stream have come. */
export interface StreamOffset {
  /** The highest key that was copied; null when nothing was. */
  readonly cursor: Cursor | null;
  /** Since when rows below the cursor may have been written that were not copied; null when nobody knows. */
  readonly horizon: string | null;
  /** How long ago rows were last looked for below the cursor, in seconds; null for never. */
  readonly sweptSecondsAgo: number | null;
  /** Counts the changes of this offset. */
  readonly moves: number;
  /** The shape that the run met which moved the horizon last; null when it was not looked at. */
  readonly shape: unknown;
}

/** The offset of a stream, in the source that it is read from now. In another source it begins anew. */
export async function openOffset(
  transaction: Transaction,
  stream: string,
  { place, table, key }: StreamSource,
): Promise<StreamOffset> {
  const [row] = await transaction.run(
    ledgerSql
      .insertInto('keystride.stream_offset')
      .values({ stream, cursor: null, place, source: table, key: JSON.stringify(key) })
      .onConflict((conflict) =>
        conflict.column('stream').doUpdateSet({
          place,
          source: table,
          key: JSON.stringify(key),
          // A stream that has no place yet was filled by a release that did not know where it was.
          cursor: sql`case when stream_offset.place = excluded.place then stream_offset.cursor end`,
          horizon: sql`case when stream_offset.place = excluded.place then stream_offset.horizon end`,
          shape: sql`case when stream_offset.place = excluded.place then stream_offset.shape end`,
        }),
      )
      .returning(columnsOfOffset),
  );
  return offsetOf(row);
}

const columnsOfOffset = [
  'cursor',
  'horizon',
  'moves',
  'shape',
  sql<number | null>`extract(epoch from now() - swept_at)::float8`.as('swept'),
] as const;

interface OffsetRow {
  readonly cursor: string | null;
  readonly horizon: string | null;
  readonly moves: string;
  readonly shape: unknown;
  readonly swept: number | null;
}

function offsetOf(row: OffsetRow | undefined): StreamOffset {
  return {
    cursor: decodeCursor(row?.cursor ?? null),
    horizon: row?.horizon ?? null,
    sweptSecondsAgo: row?.swept ?? null,
    moves: Number(row?.moves ?? 0),
    shape: row?.shape ?? null,
  };
}

/** The offset of a stream in the source that it is read from now; null where there is none yet. */
export async function findOffset(
  ledger: Ledger,
  stream: string,
  place: string,
): Promise<StreamOffset | null> {
  const [row] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.stream_offset')
      .select(columnsOfOffset)
      .where('stream', '=', stream)
      .where('place', '=', place),
  );
  return row ? offsetOf(row) : null;
}

/**
 * Notes, once a minute, that a stream has nothing to copy: it is not behind, however long ago a run has moved its offset.
 */
export async function noteNothingDue(ledger: Ledger, stream: string): Promise<void> {
  await ledger.run(
    ledgerSql
      .updateTable('keystride.stream_offset')
      .set({ updated_at: sql<string>`now()` })
      .where('stream', '=', stream)
      .where('updated_at', '<', sql<string>`now() - interval '1 minute'`),
  );
}

/**
 * How far the source of a stream had been written when any of its runs read it last, those that go on among them; null where
 * nobody has noted it.
 */
export async function readUpTo(ledger: Ledger, stream: string): Promise<string | null> {
  const { rows } = await ledger.transaction((transaction) =>
    transaction.query<{ written: string | null }>(
      `SELECT greatest(
                (SELECT (shape #>> '{source,moment,written}')::numeric FROM keystride.stream_offset WHERE stream = $1),
                (SELECT max((result ->> 'written')::numeric) FROM keystride.step
                  WHERE step = 'begin' AND result ->> 'stream' = $1))::text AS written`,
      [stream],
    ),
  );
  return rows[0]?.written ?? null;
}

/** Notes the shape that a run has met when it began. */
export async function noteShape(transaction: Transaction, instance: string, shape: unknown): Promise<void> {
  const noted = JSON.stringify(shape);
  await transaction.run(
    ledgerSql
      .insertInto('keystride.met_shape')
      .values({ instance_key: instance, shape: noted })
      .onConflict((conflict) => conflict.column('instance_key').doUpdateSet({ shape: noted })),
  );
}

/** The shape that a run has met; null when it began before shapes were noted. It is forgotten with this. */
export async function takeNotedShape(transaction: Transaction, instance: string): Promise<unknown> {
  const [row] = await transaction.run(
    ledgerSql.deleteFrom('keystride.met_shape').where('instance_key', '=', instance).returning('shape'),
  );
  return row?.shape ?? null;
}

/** What a run has read, from where the stream stood when it began. */
export interface StreamMove {
  readonly stream: string;
  /** `StreamOffset.moves` when the run began. */
  readonly moves: number;
  readonly from: Cursor | null;
  /** The new horizon; null leaves the one that is there. */
  readonly horizon: string | null;
  /** What was met together with the horizon. */
  readonly shape: unknown;
}

/**
 * Moves a stream's offset to the end of a completed step, unless somebody has moved it since the run began: a rewind
 * holds, and of two runs at once the one that ends first.
 *
 * @returns whether it moved.
 */
export async function moveOffset(
  transaction: Transaction,
  { stream, moves, from, horizon, shape }: StreamMove,
  place: { readonly instance: string; readonly step: string },
): Promise<boolean> {
  const cursor = (await endOfStep(transaction, place)) ?? encodeCursor(from);
  const moved = await transaction.run(
    ledgerSql
      .updateTable('keystride.stream_offset')
      .set({
        cursor,
        ...(horizon === null
          ? {}
          : { horizon, shape: shape === null ? null : JSON.stringify(shape), swept_at: sql<string>`now()` }),
        moves: sql<string>`moves + 1`,
        updated_at: sql<string>`now()`,
      })
      .where('stream', '=', stream)
      .where('moves', '=', String(moves))
      .returning('moves'),
  );
  return moved.length > 0;
}

/** The end of the last range: the one that no other begins at. Null when the step had nothing to read. */
async function endOfStep(
  transaction: Transaction,
  { instance, step }: { readonly instance: string; readonly step: string },
): Promise<string | null> {
  const [last] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.checkpoint as range')
      .select('range.upper')
      .where('range.instance_key', '=', instance)
      .where('range.step', '=', step)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('keystride.checkpoint as next')
              .select('next.partition')
              .where('next.instance_key', '=', instance)
              .where('next.step', '=', step)
              .whereRef('next.lower', '=', 'range.upper'),
          ),
        ),
      ),
  );
  return last?.upper ?? null;
}

/** What a tasklet of an instance has returned; null while it has not completed. */
export async function readResult(
  ledger: Ledger,
  { instance, step }: { readonly instance: string; readonly step: string },
): Promise<unknown> {
  const query = ledgerSql
    .selectFrom('keystride.step')
    .select('result')
    .where('instance_key', '=', instance)
    .where('step', '=', step)
    .where('status', '=', 'completed');
  const [row] = await ledger.run(query);
  return row?.result ?? null;
}
