import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LogState } from '../../packages/keystride/src/ledger/log.ts';
import { noteMoves } from '../../packages/keystride/src/ledger/noted-moves.ts';
import { compareStream } from '../../packages/keystride/src/prove/stream-audit.ts';
import { noteRows, noteTransactions } from '../../packages/keystride/src/prove/stream-notes.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let databases: TestDatabase[];
let source: pg.Client;
let sink: pg.Client;
let seen: LogState['seen'];

const oidOf = async (client: pg.Client) =>
  (await client.query<{ oid: string }>(`SELECT 'shop.k'::regclass::oid::text AS oid`)).rows[0]?.oid ?? '';

beforeEach(async () => {
  databases = [await testDatabase('source'), await testDatabase('target')];
  const clients = databases.map(({ url }) => new pg.Client({ connectionString: url }));
  [source, sink] = clients as [pg.Client, pg.Client];
  for (const client of clients) {
    await client.connect();
    await client.query('CREATE SCHEMA shop; CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
    await noteRows(client);
  }
  await noteTransactions(source);
  await noteMoves(sink);
  await sink.query(
    `INSERT INTO keystride.stream_offset (stream, cursor, shape)
     VALUES ('s', '["0/1"]', '{"log": {"copied": true, "settledAt": "0/1"}}')`,
  );
  const column = (number: number, name: string) => ({
    ...{ number, missing: null, forms: [[name, '25:-1']] as const },
    to: { number, name, how: '', fits: true, type: { base: 'text', limitedTo: 'text' } },
  });
  const columns = [column(1, 'id'), column(2, 'note')];
  seen = {
    'shop.k': {
      source: await oidOf(source),
      sink: await oidOf(sink),
      highest: 2,
      key: [1],
      values: {},
      columns,
    },
  };
});

afterEach(async () => {
  for (const client of [source, sink]) await client.end();
  for (const database of databases) await database.drop();
});

/** Does something in a transaction of the source. @returns the place of the log that it has committed at, or below */
async function write(statements: string): Promise<string> {
  await source.query(`BEGIN; ${statements}; SELECT keystride_prove.ending(); COMMIT`);
  const { rows } = await source.query<{ place: string }>('SELECT pg_current_wal_insert_lsn()::text AS place');
  return rows[0]?.place ?? '';
}

/** Does something in a transaction of the sink that moves the position. */
async function apply(place: string, statements: string): Promise<void> {
  await sink.query(
    `BEGIN; UPDATE keystride.stream_offset SET cursor = '["${place}"]' WHERE stream = 's'; ${statements}; COMMIT`,
  );
}

const compare = () => {
  const [from, to] = databases;
  return compareStream(from?.url ?? '', to?.url ?? '', { seen });
};

const first = `INSERT INTO shop.k VALUES (1, 'a'), (2, 'b')`;
const second = `UPDATE shop.k SET id = 3 WHERE id = 2; DELETE FROM shop.k WHERE id = 1`;
const third = `INSERT INTO shop.k VALUES (4, 'd')`;

test('transactions that were applied one by one, or together, are those of the source', async () => {
  await apply(await write(first), first);
  await write(second);
  await apply(await write(third), `${second}; ${third}`);
  expect(await compare()).toEqual({ lost: 0, doubled: 0, differences: [] });
});

test('half of a transaction, one too late, one out of order and one that never came are found', async () => {
  await apply(await write(first), `INSERT INTO shop.k VALUES (1, 'a')`);
  expect(await compare()).toMatchObject({ lost: 1, doubled: 0 });
  const place = await write(second);
  await write(third);
  // As if the third had come first.
  await apply(place, third);
  expect(await compare()).toMatchObject({ lost: 4, doubled: 1 });
});

test('what nobody has written is found, and what is written where the sink is of several moments is not judged', async () => {
  await apply(await write(first), first);
  await apply(await write(third), `${third}; UPDATE shop.k SET note = 'again' WHERE id = 1`);
  expect(await compare()).toMatchObject({ lost: 0, doubled: 1 });
  await sink.query(
    `UPDATE keystride.stream_offset SET shape = jsonb_set(shape, '{log,settledAt}', '"FFFF/0"') WHERE stream = 's'`,
  );
  await apply(await write(second), `INSERT INTO shop.k VALUES (9, 'never')`);
  expect(await compare()).toMatchObject({
    lost: 1,
    doubled: 1,
    differences: [expect.any(String), '1 transactions of the source were not applied'],
  });
});
