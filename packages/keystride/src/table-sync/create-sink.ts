import pg from 'pg';
import { quotedTable } from '../stores/postgres/key-columns.ts';
import { tableParts } from '../stores/postgres/sql.ts';
import { invalid, type TableDescription } from './tables.ts';
import type { Travelling } from './transforms.ts';

/** A sink, and what it would be made after. */
export interface WantedSink {
  readonly sink: string;
  readonly source: TableDescription;
  readonly columns: readonly Travelling[];
  /** In the source. */
  readonly key: readonly string[];
}

/** Whether a database has a table. */
export async function hasTable(pool: pg.Pool, table: string): Promise<boolean> {
  const { rows } = await pool.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    quotedTable(table),
  ]);
  return rows[0]?.there === true;
}

/**
 * The statement that makes a sink: the columns that are copied, with their types, those that may not be null, and the key.
 * A copy has the values, whatever has made them: defaults, identities and computed columns are plain columns of it.
 */
export async function sinkStatement(
  pool: pg.Pool,
  { sink, source, columns, key }: WantedSink,
): Promise<string> {
  const required = await requiredColumns(pool, source.table);
  const lines = columns.map(({ from, to, via, masked }) => {
    const declared = source.columns.find(({ name }) => name === from)?.declared;
    const type = masked ? 'text' : (via ?? declared);
    return `${pg.escapeIdentifier(to)} ${type}${required.has(from) ? ' NOT NULL' : ''}`;
  });
  const sinkKey = key.map((name) => columns.find(({ from }) => from === name)?.to ?? name);
  const primary = `PRIMARY KEY (${sinkKey.map((name) => pg.escapeIdentifier(name)).join(', ')})`;
  return `CREATE TABLE ${quotedTable(sink)} (${[...lines, primary].join(', ')})`;
}

/**
 * Makes a sink.
 *
 * @param pools of the source, and of the sink.
 * @returns what was done, and what the sink does not have of its source.
 * @throws JobParametersInvalid for types that the sink's database does not have, and for a role that may not make tables.
 */
export async function createSink(
  pools: { readonly source: pg.Pool; readonly database: pg.Pool },
  wanted: WantedSink,
): Promise<string[]> {
  const { sink, source } = wanted;
  if (tableParts(sink)[0] === 'keystride')
    throw invalid(`the sink ${sink} would be of the ledger (schema keystride)`);
  const statement = await sinkStatement(pools.source, wanted);
  try {
    await pools.database.query(await withSchema(pools.database, sink, statement));
  } catch (error) {
    throw error instanceof pg.DatabaseError ? await refusalOf(error, pools.source, wanted, statement) : error;
  }
  const indexes = await otherIndexes(pools.source, source.table);
  return [
    `the sink ${sink} was made, with its key`,
    ...indexes.map((index) => `the sink ${sink} has not this index of its source: ${index}`),
  ];
}

/** Both or neither. A schema that is there needs no right to make one. */
async function withSchema(pool: pg.Pool, sink: string, statement: string): Promise<string> {
  const [schema = '', name] = tableParts(sink);
  if (name === undefined) return statement;
  const { rows } = await pool.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  return rows.length > 0 ? statement : `CREATE SCHEMA ${pg.escapeIdentifier(schema)}; ${statement}`;
}

/** A type, or the schema of one, that is not there. */
const undefinedType: readonly string[] = ['42704', '3F000'];
const insufficientPrivilege = '42501';

async function refusalOf(
  error: pg.DatabaseError,
  pool: pg.Pool,
  { sink, source, columns }: WantedSink,
  statement: string,
): Promise<Error> {
  if (error.code === insufficientPrivilege)
    return invalid(`the role may not make the sink ${sink}. Whoever may: ${statement}`);
  if (!undefinedType.includes(error.code ?? '')) return error;
  const types = await enumsOf(
    pool,
    source.table,
    columns.map(({ from }) => from),
  );
  return invalid(
    `the sink ${sink} cannot be made: ${error.message} in its database. Make it there first${types.length > 0 ? `: ${types.join('; ')}` : ', or leave the column out by drop'}`,
  );
}

async function requiredColumns(pool: pg.Pool, table: string): Promise<ReadonlySet<string>> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND attnotnull
        AND NOT EXISTS (SELECT FROM pg_constraint
                         WHERE conrelid = attrelid AND contype = 'n' AND conkey = ARRAY[attnum] AND NOT convalidated)`,
    [quotedTable(table)],
  );
  return new Set(rows.map(({ name }) => name));
}

/** The statements that make the enums of these columns. */
async function enumsOf(pool: pg.Pool, table: string, columns: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ statement: string }>(
    `SELECT format('CREATE TYPE %s AS ENUM (%s)', enumtypid::regtype,
                   string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)) AS statement
       FROM pg_enum
      WHERE enumtypid IN (SELECT CASE WHEN typelem <> 0 THEN typelem ELSE pg_type.oid END
                            FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
                           WHERE attrelid = to_regclass($1) AND attname = ANY ($2::text[]) AND NOT attisdropped)
      GROUP BY enumtypid ORDER BY 1`,
    [quotedTable(table), columns],
  );
  return rows.map(({ statement }) => statement);
}

/** As the source has them: a sink of another name, or with other columns, wants them changed. */
async function otherIndexes(pool: pg.Pool, table: string): Promise<string[]> {
  const { rows } = await pool.query<{ statement: string }>(
    `SELECT pg_get_indexdef(indexrelid) AS statement FROM pg_index
      WHERE indrelid = to_regclass($1) AND NOT indisprimary ORDER BY indexrelid`,
    [quotedTable(table)],
  );
  return rows.map(({ statement }) => statement);
}
