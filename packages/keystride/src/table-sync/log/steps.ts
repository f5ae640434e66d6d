import type pg from 'pg';
import { answeredOnce } from '../../contract/answered-once.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import type { Reader } from '../../contract/reader.ts';
import { type AnySetWork, chunks, sets, type StepContext } from '../../job/chunks.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { noteLog, readLogPlace } from '../../ledger/log.ts';
import { keysetReader } from '../../stores/postgres/keyset-reader.ts';
import { positionText } from '../../stores/postgres/log-position.ts';
import { markLog } from '../../stores/postgres/replication-slot.ts';
import { columnIn, namedTables, tableNamed } from '../../stores/postgres/sql.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import { sql } from 'kysely';
import { startOf, type SyncSteps } from '../steps.ts';
import type { SyncRow } from '../sync-row.ts';
import type { SyncedDatabases } from '../synced-databases.ts';
import { invalid } from '../tables.ts';
import { Applier } from './apply.ts';
import { cursorAt, type LogBatch } from './batch.ts';
import { beginLog, type LogStart, openLog } from './begin.ts';
import { Following } from './follow.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';
import { readAgain } from './refused-rows.ts';
import { classifyNotTaken } from './settle.ts';
import { verifyFollowed } from './verify-followed.ts';
import { isBetweenRows } from './violations.ts';
import { type OfTable, tablesReader } from './tables-reader.ts';

/** What the steps know of the parameters. */
interface LogParameters {
  readonly poll?: 'once' | 'continuous' | undefined;
}

/** The steps of a sync that follows the log. */
export interface LogSteps<Parameters> extends SyncSteps<Parameters, LogStart> {
  follow(context: StepContext<Parameters>): AnySetWork;
}

/**
 * Copies the tables, removes from their copies what they do not have, and applies what the log tells from a position on that
 * was taken before.
 *
 * While the position stands, each row is copied at some moment after it. Whatever changes a row after the position is told
 * and applied later, in its order, also what the copy has seen already: so from the end of the copy on, the sink becomes what
 * the source was at each commit. Before that it is of several moments, and a row that a constraint forbids for that reason is
 * read again when it is not.
 *
 * @param databases the sinks are in that of the ledger.
 * @param describe looks up what the parameters name.
 */
export function logSteps<Parameters extends LogParameters>(
  { source, database }: SyncedDatabases,
  describe: (parameters: Parameters) => Promise<FollowedTables>,
): LogSteps<Parameters> {
  const ledger = new Ledger(database);
  return {
    begin: ({ instance, parameters, log }) => ({
      run: async (transaction) => {
        const start = await beginLog(transaction, await describe(parameters), instance);
        for (const told of start.told ?? []) log.warn(told, { stream: start.stream });
        return start;
      },
    }),
    copy: ({ instance, parameters }) => {
      const followed = answeredOnce(() => describe(parameters));
      const begun = answeredOnce(() => startOf<LogStart>(ledger, instance));
      const reader = tablesReader(async () => {
        if ((await begun()).from !== null) return [];
        return (await followed()).tables.map((table) => ({
          ...{ table, name: table.source, reader: table.reader },
        }));
      });
      return chunks<OfTable<FollowedTable, SyncRow>, OfTable<FollowedTable, SyncRow>>({
        reader: {
          ...reader,
          plan: async (request) => {
            const { from, tried } = await begun();
            if (from === null && !tried) await openLog(ledger, await followed());
            return reader.plan(request);
          },
        },
        processor: (row) => row,
        writer: { write: async (rows, transaction) => copyRows(await followed(), rows, transaction) },
        redrive: readAgain(ledger, followed),
      });
    },
    sweep: ({ instance, parameters }) => {
      const followed = answeredOnce(() => describe(parameters));
      const begun = answeredOnce(() => startOf<LogStart>(ledger, instance));
      return chunks<OfTable<FollowedTable, SyncRow>, OfTable<FollowedTable, SyncRow>>({
        reader: tablesReader(async () => {
          const { tables } = await followed();
          const { since } = await begun();
          if (since === null) return [];
          return tables.map((table) => ({ table, name: table.sink.table, reader: keysOf(database, table) }));
        }),
        processor: (row) => row,
        writer: { write: async (rows, transaction) => removeLacking(await followed(), rows, transaction) },
        redrive: readAgain(ledger, followed),
      });
    },
    remember: ({ instance }) => ({
      run: async (transaction) => {
        const { from, stream, tried, told = [] } = await startOf<LogStart>(ledger, instance);
        if (from !== null || tried) return { copied: false };
        const place = await readLogPlace(transaction, stream);
        const settledAt = positionText(await markLog(source, stream));
        const noted =
          place?.state &&
          (await noteLog(
            transaction,
            place,
            place.cursor,
            { ...place.state, copied: true, settledAt },
            told,
          ));
        if (!noted)
          throw invalid(`${stream} was rewound or forgotten while it was copied; start its next run`);
        return { copied: true };
      },
    }),
    follow: ({ instance, parameters }) => {
      const following = new Following(ledger, () => describe(parameters));
      return sets<LogBatch>({
        reader: {
          plan: async () => {
            const { stream, tried } = await startOf<LogStart>(ledger, instance);
            if (tried) return { ranges: [], expected: null };
            const upper = parameters.poll === 'continuous' ? null : cursorAt(await markLog(source, stream));
            return { ranges: [{ lower: null, upper }], expected: null };
          },
          next: (request) => following.next(request),
        },
        write: (batch, transaction, aside) => following.write(batch, transaction, aside),
        classifiers: [classifyNotTaken],
        redrive: readAgain(ledger, () => describe(parameters)),
      });
    },
    verify: ({ parameters }) => verifyFollowed(ledger, () => describe(parameters)),
  };
}

/**
 * Writes rows as a copy has read them: all at once. Where a constraint between rows forbids that, or tables refer to each
 * other in a circle, they are applied as changes are.
 */
async function copyRows(
  { stream, tables }: FollowedTables,
  rows: readonly OfTable<FollowedTable, SyncRow>[],
  transaction: Transaction,
): Promise<number> {
  const isCircle = tables.some(({ inCircle }) => inCircle);
  if (!isCircle && (await areTaken(rows, transaction))) return rows.length;
  const applier = new Applier({ stream, tables, unsettled: true }, transaction);
  for (const { table, item } of rows) {
    const row = Object.fromEntries(table.columns.map(({ to }) => [to, item[to] ?? null]));
    await applier.add({
      kind: 'write',
      table,
      key: cursorOf(table.sink.key.map((name) => row[name] ?? '')),
      row,
    });
  }
  await applier.finish();
  return rows.length - applier.noted;
}

/** Writes rows, or none of them. @returns whether no constraint between rows forbids it. */
async function areTaken(
  rows: readonly OfTable<FollowedTable, SyncRow>[],
  transaction: Transaction,
): Promise<boolean> {
  await transaction.query('SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT rows');
  try {
    for (const [table, those] of Map.groupBy(rows, (row) => row.table))
      await table.write(
        those.map(({ item }) => item),
        transaction,
      );
    await transaction.query('RELEASE SAVEPOINT rows');
    return true;
  } catch (error) {
    if (!isBetweenRows(error)) throw error;
    await transaction.query('ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows');
    return false;
  }
}

/** The keys of a sink, in its own order. */
function keysOf(database: pg.Pool, { sink: { table, key } }: FollowedTable): Reader<SyncRow> {
  const query = namedTables
    .selectFrom(tableNamed(table))
    .select(key.map((name) => sql<string | null>`${columnIn(table, name)}::text`.as(name)));
  return keysetReader({ pool: database, query, table, key });
}

/**
 * Removes rows that the source does not have. Those that come to it later are told. One that others of the sink still refer
 * to is noted, and read again.
 */
async function removeLacking(
  { stream, tables }: FollowedTables,
  rows: readonly OfTable<FollowedTable, SyncRow>[],
  transaction: Transaction,
): Promise<number> {
  const applier = new Applier({ stream, tables, unsettled: true }, transaction);
  let lacking = 0;
  for (const [table, those] of Map.groupBy(rows, (row) => row.table)) {
    const keys: Cursor[] = those.map(({ item }) => cursorOf(table.sink.key.map((name) => item[name] ?? '')));
    for (const key of await table.comparison.lacking(keys, neverAborted)) {
      lacking += 1;
      await applier.add({ kind: 'remove', table, key });
    }
  }
  await applier.finish();
  return lacking - applier.noted;
}

const neverAborted = new AbortController().signal;
