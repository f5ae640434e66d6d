import type pg from 'pg';
import { type SelectQueryBuilder, sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keysetReader } from '../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { typedSql } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { readAll } from './reading.ts';

interface Tables {
  near: { id: number; code: string };
  far: { id: number; code: string; 'a "b"': string };
  told: { code: string };
  seen: { id: number; code: string };
}

const tables = typedSql<Tables>();
let here: TestDatabase;
let there: TestDatabase;
let pool: pg.Pool;
let remote: pg.Pool;

const rows = 1500;
const names = `
  SELECT row_number() OVER ()::int AS id, letter || number AS code
    FROM generate_series(1, ${rows / 5}) AS number, unnest(ARRAY['a', 'B', 'c', 'D', '-']) AS letter`;

/** Another database, which sorts texts otherwise than this one: the same is met where it sorts so by default. */
beforeAll(async () => {
  [here, there] = [await testDatabase('target'), await testDatabase('target')];
  [pool, remote] = [here, there].map(({ url }) => createPool(url, 'keystride test')) as [pg.Pool, pg.Pool];
  await remote.query(`
    CREATE TABLE far (id int PRIMARY KEY, code text COLLATE "en-x-icu" NOT NULL UNIQUE,
                      odd text COLLATE "en-x-icu" NOT NULL UNIQUE);
    INSERT INTO far SELECT id, code, code FROM (${names}) AS named;
    ANALYZE far`);
  const { hostname, port, username, password, pathname } = new URL(there.url);
  const options = (values: Record<string, string>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} '${decodeURIComponent(value)}'`)
      .join(', ');
  await pool.query(`
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw
      OPTIONS (${options({ host: hostname, port, dbname: pathname.slice(1), use_remote_estimate: 'true' })});
    CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (${options({ user: username, password })});
    CREATE FOREIGN TABLE far (id int NOT NULL, code text NOT NULL,
                              "a ""b""" text OPTIONS (column_name 'odd') NOT NULL) SERVER other;
    CREATE FOREIGN TABLE told (code text COLLATE "en-x-icu" NOT NULL) SERVER other OPTIONS (table_name 'far');
    CREATE VIEW seen AS SELECT id, code FROM far;
    CREATE TABLE near AS ${names};
    ALTER TABLE near ADD PRIMARY KEY (id), ALTER code SET NOT NULL, ADD UNIQUE (code);
    ANALYZE near`);
});

afterAll(async () => {
  await Promise.all([pool?.end(), remote?.end()]);
  await Promise.all([here?.drop(), there?.drop()]);
});

type Query = SelectQueryBuilder<Tables, 'near', object>;
const near = () => tables.selectFrom('near').select(['near.id', 'near.code']);
const reading = (query: unknown, key: (keyof Tables['near'])[], table = 'near') =>
  readAll(
    () => keysetReader<Tables, 'near', object>({ pool, query: query as Query, table: table as 'near', key }),
    50,
    2,
  );

describe('texts that a foreign table would give in the order of its server', () => {
  test.each<[string, unknown, (keyof Tables['near'])[]]>([
    ['joined to the key', near().innerJoin('far', 'far.code', 'near.code'), ['code']],
    ['joined to another column', near().innerJoin('far', 'far.code', 'near.code'), ['id']],
    ['joined from the left', near().leftJoin('far', 'far.code', 'near.code'), ['code']],
    ['behind a view', near().innerJoin('seen', 'seen.code', 'near.code'), ['code']],
    ['of another name there', near().innerJoin('far', 'far.a "b"', 'near.code'), ['code']],
    [
      'in a condition',
      near().where('code', 'in', tables.selectFrom('far').select('far.code').where('far.id', '>', 0)),
      ['code'],
    ],
    ['in raw SQL', near().where(sql<boolean>`code IN (SELECT code FROM far)`), ['code']],
  ])('are refused: %s', async (_, query, key) => {
    await expect(reading(query, key)).rejects.toThrow(
      /^the server of the foreign table far may sort far\.(code|"a ""b""") for the query/u,
    );
  });

  test('are read where the column says how they are sorted there', async () => {
    const query = near().innerJoin('told', (join) =>
      join.on(sql<boolean>`told.code COLLATE "C" = near.code COLLATE "C"`),
    );
    expect(await reading(query, ['code'])).toHaveLength(rows);
  });

  test('do no harm where they are only selected', async () => {
    const query = near().innerJoin('far', 'far.id', 'near.id').select('far.code as there');
    expect(await reading(query, ['code'])).toHaveLength(rows);
  });
});

test.each([
  ['far', /^far is a foreign table: .* Read it where it is/u],
  ['seen', /column seen\.code may be null/u],
])('%s, of another server, is not paged over', async (table, told) => {
  const query = tables.selectFrom(table as 'far').select('code');
  await expect(reading(query, ['code'], table)).rejects.toThrow(told);
});
