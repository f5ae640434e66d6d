import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  migrationTables,
  serviceTables,
  type ColumnDescription,
} from '../packages/keystride/src/stores/postgres/schema.ts';
import { testDatabase } from './support/database.ts';

type Tables = Record<string, Record<string, ColumnDescription>>;

const described = { service: serviceTables, migration: migrationTables } as const;

describe.each(['service', 'migration'] as const)('the types of the %s database', (set) => {
  let database: Awaited<ReturnType<typeof testDatabase>>;
  let client: pg.Client;

  beforeAll(async () => {
    database = await testDatabase(set);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  }, 60_000);

  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  test('are those of the migrated schema, column by column', async () => {
    expect(await readTables(client)).toEqual(described[set]);
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
    expect(changed).not.toEqual(described[set]);
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
