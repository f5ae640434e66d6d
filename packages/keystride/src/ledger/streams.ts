import { sql } from 'kysely';
import { type Cursor, decodeCursor, encodeCursor } from '../contract/cursor.ts';
import type { Authorship } from '../contract/audit.ts';
import { enterChange } from './audit.ts';
import type { RunningExecution } from './executions.ts';
import { isoTime } from './iso-time.ts';
import type { Asked, Ledger } from './ledger.ts';
import type { ChangeCounts } from './log.ts';
import { ledgerSql } from './schema.ts';

/** A stream as the ledger has it. */
export interface Stream {
  readonly stream: string;
  readonly cursor: Cursor | null;
  readonly table: string;
  readonly key: readonly string[];
  /** ISO time. */
  readonly movedAt: string;
  /** ISO time; null for never. */
  readonly sweptAt: string | null;
  /** The replication slot in its source, of one that follows the log: then the cursor is a position of that. */
  readonly slot: string | null;
  /** Of one that follows the log: what it has applied since its tables were copied. */
  readonly rows: ChangeCounts | null;
  /** What the last run has told of what had changed without a row being written. */
  readonly told: readonly string[];
}

/** The streams that have begun, by name. */
export async function readStreams(ledger: Asked): Promise<Stream[]> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.stream_offset')
      .select(['stream', 'cursor', 'source', 'key', 'shape', 'inserted', 'updated', 'deleted', 'truncated'])
      .select([isoTime<string>('updated_at').as('movedAt'), isoTime('swept_at').as('sweptAt')])
      .where('source', 'is not', null)
      .orderBy('stream'),
  );
  return rows.map(({ stream, cursor, source, key, shape, movedAt, sweptAt, ...counts }) => ({
    stream,
    cursor: decodeCursor(cursor),
    table: source ?? '',
    key: key as string[],
    movedAt,
    sweptAt,
    ...toldIn(shape, counts),
  }));
}

function toldIn(
  shape: unknown,
  { inserted, updated, deleted, truncated }: Readonly<Record<keyof ChangeCounts, string>>,
): Pick<Stream, 'slot' | 'told' | 'rows'> {
  const { told = [], log } = (shape ?? {}) as {
    readonly told?: readonly string[];
    readonly log?: { readonly slot: string };
  };
  const rows = {
    ...{ inserted: Number(inserted), updated: Number(updated) },
    ...{ deleted: Number(deleted), truncated: Number(truncated) },
  };
  return { slot: log?.slot ?? null, rows: log ? rows : null, told };
}

/** Sets a stream back: its next run copies what is above the cursor, or everything. A run in flight does not move it. */
export async function rewindStream(
  ledger: Ledger,
  stream: string,
  cursor: Cursor | null,
  author: Authorship,
): Promise<void> {
  await ledger.transaction(async (transaction) => {
    const [was] = await transaction.run(heldStream(stream));
    if (!was) return;
    await transaction.run(
      ledgerSql
        .updateTable('keystride.stream_offset')
        .set({
          cursor: encodeCursor(cursor),
          moves: sql<string>`moves + 1`,
          updated_at: sql<string>`now()`,
        })
        .where('stream', '=', stream),
    );
    const before = { cursor: decodeCursor(was.cursor) };
    const change = { action: 'sync rewind', subject: stream, before, after: { cursor } } as const;
    await enterChange(transaction, { ...author, ...change });
  });
}

function heldStream(stream: string) {
  return ledgerSql
    .selectFrom('keystride.stream_offset')
    .select('cursor')
    .where('stream', '=', stream)
    .forUpdate();
}

/** Takes a stream out of the ledger. A run in flight does not bring it back. */
export async function forgetStream(ledger: Ledger, stream: string, author: Authorship): Promise<void> {
  await ledger.transaction(async (transaction) => {
    const [was] = await transaction.run(heldStream(stream));
    if (!was) return;
    await transaction.run(ledgerSql.deleteFrom('keystride.stream_offset').where('stream', '=', stream));
    const before = { cursor: decodeCursor(was.cursor) };
    await enterChange(transaction, { ...author, action: 'sync forget', subject: stream, before });
  });
}

/** Runs of a stream that the ledger believes to go on, and those that begin one after another. */
export async function runningOnStream(ledger: Asked, stream: string): Promise<RunningExecution[]> {
  const begun = sql<boolean>`exists (
    select from keystride.step
     where step.instance_key = instance.instance_key and step = 'begin' and result ->> 'stream' = ${stream})`;
  // One that polls has no steps of its own, and may be between two polls.
  const polls = sql<boolean>`params ->> 'poll' = 'continuous' and (
    job = 'targetSync' and ${stream} = 'targetSync:' ||
      case when params ->> 'mode' like 'timestamp%' then 'updated_at,id' else 'id' end
    or job = 'tableSync' and starts_with(${stream}, concat(
      'tableSync:', params ->> 'source', '>', coalesce(params ->> 'sink', params ->> 'source'), ':')))`;
  return ledger.run(
    ledgerSql
      .selectFrom('keystride.instance as instance')
      .select(['instance_key as instance', 'owner_workflow_id as workflowId'])
      .where('status', '=', 'running')
      .where(sql<boolean>`(${begun} or ${polls})`),
  );
}
