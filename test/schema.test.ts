import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ledgerTables } from '../packages/keystride/src/ledger/schema.ts';
import type { ColumnDescription } from '../packages/keystride/src/stores/postgres/columns.ts';
import { sourceTables, targetTables } from '../src/tables.ts';
import { testDatabase } from './support/database.ts';

type Tables = Record<string, Record<string, ColumnDescription>>;

const { 'keystride.schema_migration': applied } = ledgerTables;

/** Each database, and what describes its tables. The source has nothing of the ledger but which files were applied. */
const described = {
  source: { ...sourceTables, 'keystride.schema_migration': applied },
  target: { ...targetTables, ...ledgerTables },
} as const;

describe.each(['source', 'target'] as const)('the types of the %s', (kind) => {
  let database: Awaited<ReturnType<typeof testDatabase>>;
  let client: pg.Client;

  beforeAll(async () => {
    database = await testDatabase(kind);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  }, 60_000);

  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  test('are those of the migrated schema, column by column', async () => {
    expect(await readTables(client)).toEqual(described[kind]);
  });

  test.each([
    ['a missing column', 'drop column name'],
    ['an extra column', 'add column surplus text'],
    ['another type', 'alter column name type varchar(999)'],
    ['another nullability', 'alter column checksum drop not null'],
    ['another default', `alter column checksum set default ''`],
  ])('would not match %s', async (_, change) => {
    await client.query('begin');
    await client.query(`alter table keystride.schema_migration ${change}`);
    const changed = await readTables(client);
    await client.query('rollback');
    expect(changed).not.toEqual(described[kind]);
  });
});

async function readTables(client: pg.Client): Promise<Tables> {
  const { rows } = await client.query<{ table: string; column: string } & ColumnDescription>(
    `select case table_schema when 'public' then '' else table_schema || '.' end || table_name as table,
            column_name as column,
            data_type as type,
            is_nullable = 'YES' as nullable,
            case when identity_generation = 'ALWAYS' or is_generated = 'ALWAYS' then 'generated'
                 when identity_generation is not null or column_default is not null then 'defaulted'
                 else 'required' end as value
       from information_schema.columns
      where table_schema in ('public', 'keystride')`,
  );
  const tables: Tables = {};
  for (const { table, column, ...description } of rows) (tables[table] ??= {})[column] = description;
  return tables;
}
