import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStores, type Stores } from '../support/migration.ts';
import { control, reportOf, run, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** A sweep that takes long: here because row security asks a slow function about each row. */

let world: World;
let stores: Stores;
let slowWorker: NodeJS.ProcessEnv;

const rows = 30_000;

beforeAll(async () => {
  world = await createWorld({ ownServers: true });
  stores = openStores(world);
  await stores.service.query(`
    CREATE SCHEMA shop; CREATE TABLE shop.item (id bigint PRIMARY KEY, note text);
    INSERT INTO shop.item SELECT n, 'new' FROM generate_series(1, ${rows}) AS n`);
  await seen('NULL');
  await stores.service.query(`
    ALTER TABLE shop.item ENABLE ROW LEVEL SECURITY;
    CREATE POLICY slowly ON shop.item USING (shop.seen(id));
    CREATE ROLE slow_reader LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA shop TO slow_reader; GRANT SELECT ON shop.item TO slow_reader`);
  await stores.migration.query(
    'CREATE SCHEMA shop; CREATE TABLE shop.item (id bigint PRIMARY KEY, note text)',
  );
  const url = new URL(world.sourceDatabaseUrl);
  url.username = 'slow_reader';
  url.password = 'reader';
  slowWorker = { SOURCE_DATABASE_URL: url.href };
  await world.startWorker({ environment: slowWorker });
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

/** What is done about each row before it is seen. */
async function seen(statement: string): Promise<void> {
  await stores.service.query(`
    CREATE OR REPLACE FUNCTION shop.seen(bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE COST 10000
      AS $$ BEGIN ${statement}; RETURN true; END $$`);
}

const parameters = { source: 'shop.item', mode: 'incrementing', partitions: 1 };

/** How far the sweep of a run has looked, as its checkpoint tells. */
async function lookedTo(instance: string): Promise<number> {
  const { rows: found } = await stores.migration.query<{ cursor: string | null }>(
    `SELECT cursor FROM keystride.checkpoint WHERE step = 'sweep' AND instance_key LIKE $1`,
    [`%${instance}`],
  );
  return Number((JSON.parse(found[0]?.cursor ?? '[0]') as string[])[0]);
}

/** Queries of the reader that are under way in the source. */
async function underWay(): Promise<number> {
  const { rowCount } = await stores.service.query(
    `SELECT FROM pg_stat_activity WHERE usename = 'slow_reader' AND state = 'active'`,
  );
  return rowCount ?? 0;
}

test('goes on where it was: after the death of its worker, after a stop; and leaves no query behind', async () => {
  await run(world, 'tableSync', { ...parameters, run: 1 });
  await stores.service.query(`UPDATE shop.item SET note = 'changed' WHERE id IN (1, 15000, ${rows})`);
  await seen('PERFORM pg_sleep(0.0003)');
  const first = await world.start('tableSync', { ...parameters, run: 2 });
  const begun = await waitFor(async () => (await lookedTo('run=2')) || undefined, { timeoutMs: 60_000 });
  await world.workers[0]?.kill('SIGKILL');
  const left = await lookedTo('run=2');
  expect(left).toBeGreaterThanOrEqual(begun);
  await world.startWorker({ environment: slowWorker });
  await waitFor(async () => (await lookedTo('run=2')) > left, { timeoutMs: 60_000 });
  await control(first, 'stop');
  expect(await reportOf(first)).toMatchObject({ status: 'stopped' });
  const stopped = await lookedTo('run=2');
  expect(stopped).toBeLessThan(rows);
  await waitFor(async () => (await underWay()) === 0, { what: 'the source to be left alone' });
  // What is left is to be looked at once: however long that takes shows nothing.
  await seen('NULL');
  const report = await run(world, 'tableSync', { ...parameters, run: 2 });
  expect(stepOf(report, 'sweep')).toMatchObject({ read: 3, written: 3, skipped: 0 });
  const { rows: changed } = await stores.migration.query(
    `SELECT id FROM shop.item WHERE note = 'changed' ORDER BY id`,
  );
  expect(changed).toEqual([{ id: '1' }, { id: '15000' }, { id: String(rows) }]);
});
