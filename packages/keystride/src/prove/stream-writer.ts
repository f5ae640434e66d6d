import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { withClient } from './copies.ts';
import { seeded } from './random.ts';
import { quotedTable } from '../stores/postgres/key-columns.ts';

/** Connections that write at a time. */
const writers = 2;

/** Rows that one statement changes at most; now and then it is more than a stream takes together. */
const fewRows = 5;
const manyRows = 6_000;

/** One of so many statements changes many rows. */
const manyOnceIn = 300;

/** The longest pause between two transactions, in milliseconds. */
const longestPauseMs = 60;

/** A table that is written to, as SQL takes its names. */
interface WrittenTable {
  readonly name: string;
  /** Where rows are that were removed, until they come back. */
  readonly kept: string;
  /** Those that a statement may name. */
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly others: readonly string[];
  /** Of its rows, the percentage that makes some fifty. */
  readonly sample: number;
}

/**
 * Writes to the tables of a source until it is told to end: whatever their columns, rows get what others have, other keys,
 * go, and come back; a part of a transaction is rolled back now and then, and what a constraint forbids. Each transaction
 * ends with `keystride_prove.ending()`.
 *
 * @param seed decides what is written.
 */
export async function writeToTables(
  url: string,
  names: readonly string[],
  { seed, signal }: { readonly seed: number; readonly signal: AbortSignal },
): Promise<void> {
  const tables = await withClient(url, async (client) => {
    const found: WrittenTable[] = [];
    for (const [place, name] of names.entries()) found.push(await describe(client, name, place));
    return found;
  });
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const random = seeded(seed * writers + writer);
      while (!signal.aborted)
        await withClient(url, async (client) => {
          while (!signal.aborted) {
            await writeOnce(client, tables, random);
            await delay(Math.floor(random() * longestPauseMs));
          }
        });
    }),
  );
}

async function describe(client: pg.Client, table: string, place: number): Promise<WrittenTable> {
  const name = quotedTable(table);
  const kept = `keystride_prove.kept_${place}`;
  await client.query(
    `DROP TABLE IF EXISTS ${kept}; CREATE TABLE ${kept} AS SELECT * FROM ${name} WITH NO DATA`,
  );
  const { rows: columns } = await client.query<{ name: string; key: boolean; fixed: boolean }>(
    `SELECT attname AS name, attidentity = 'a' AS fixed,
            EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)) AS key
       FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    [name],
  );
  const { rows: counted } = await client.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${name}`);
  const named = (those: typeof columns) => those.map((column) => pg.escapeIdentifier(column.name));
  return {
    ...{ name, kept, columns: named(columns) },
    key: named(columns.filter(({ key, fixed }) => key && !fixed)),
    others: named(columns.filter(({ key, fixed }) => !key && !fixed)),
    sample: Math.min(100, (100 * 50) / Math.max(1, counted[0]?.rows ?? 0)),
  };
}

async function writeOnce(
  client: pg.Client,
  tables: readonly WrittenTable[],
  random: () => number,
): Promise<void> {
  try {
    await client.query('BEGIN');
    for (let left = 1 + Math.floor(random() * 3); left > 0; left--) {
      await client.query('SAVEPOINT part');
      const isKept = await client.query(statementOf(tables, random)).then(
        () => random() > 0.1,
        (error: unknown) => {
          if (!isOfRows(error)) throw error;
          return false;
        },
      );
      await client.query(isKept ? 'RELEASE SAVEPOINT part' : 'ROLLBACK TO SAVEPOINT part');
    }
    await client.query('SELECT keystride_prove.ending()');
    await client.query('COMMIT');
  } catch (error) {
    if (!isOfRows(error)) throw error;
    await client.query('ROLLBACK');
  }
}

/** What a constraint forbids, and a deadlock. */
function isOfRows(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(?:23...|40P01)$/u.test(error.code ?? '');
}

function statementOf(tables: readonly WrittenTable[], random: () => number): string {
  const { name, kept, columns, key, others, sample } = tables[
    Math.floor(random() * tables.length)
  ] as WrittenTable;
  const isMany = Math.floor(random() * manyOnceIn) === 0;
  const rows = isMany ? manyRows : 1 + Math.floor(random() * fewRows);
  const any = `TABLESAMPLE BERNOULLI (${sample}) LIMIT 1`;
  const some = (count: number, share = sample) =>
    `ctid = ANY (ARRAY(SELECT ctid FROM ${name} TABLESAMPLE BERNOULLI (${share}) LIMIT ${count}))`;
  const given = (names: readonly string[], from: string, where: string) =>
    names.length === 0
      ? []
      : [
          `UPDATE ${name} SET (${names.join(', ')}) = (SELECT ${names.join(', ')} FROM ${from}) WHERE ${where}`,
        ];
  const list = columns.join(', ');
  const statements = [
    ...given(others, `${name} ${any}`, isMany ? some(rows, 100) : some(rows)),
    ...given(key, `${kept} ORDER BY random() LIMIT 1`, some(1)),
    `WITH gone AS (DELETE FROM ${name} WHERE ${some(Math.min(rows, fewRows))} RETURNING *) INSERT INTO ${kept} SELECT * FROM gone`,
    `WITH back AS (DELETE FROM ${kept} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${kept} ORDER BY random() LIMIT ${rows})) RETURNING *)
      INSERT INTO ${name} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM back ON CONFLICT DO NOTHING`,
  ];
  return statements[Math.floor(random() * statements.length)] ?? '';
}
