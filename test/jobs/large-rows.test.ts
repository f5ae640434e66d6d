import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { emptyItems, megabytes, sameOnBothSides } from '../support/large-rows.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { run, stepOf } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(() => emptyItems(stores));

test('small rows, then large ones, then one that fills several chunks', async () => {
  await stores.service.query(
    `INSERT INTO shop.item SELECT n, 'small' FROM generate_series(1, 10000) AS n;
     INSERT INTO shop.item SELECT n, ${megabytes(1)} FROM generate_series(10001, 10060) AS n;
     INSERT INTO shop.item SELECT n, ${megabytes(60)} FROM generate_series(10201, 10202) AS n;
     INSERT INTO shop.item SELECT n, 'small' FROM generate_series(10203, 12000) AS n;`,
  );
  await world.startWorker();
  const report = await run(world, 'tableSync', { run: 3, source: 'shop.item' });
  expect(stepOf(report, 'copy')).toMatchObject({ read: 11_860, written: 11_860, skipped: 0 });
  await sameOnBothSides(stores);
}, 400_000);

test('large rows that have changed below the offset are all swept', async () => {
  await stores.service.query(`INSERT INTO shop.item SELECT n, 'small' FROM generate_series(1, 100) AS n`);
  const incrementing = { mode: 'incrementing', source: 'shop.item', partitions: 1 };
  await world.startWorker();
  await run(world, 'tableSync', { ...incrementing, run: 4 });
  await stores.service.query(
    `UPDATE shop.item SET body = (SELECT ${megabytes(1)} FROM (SELECT id) AS one (n))`,
  );
  const report = await run(world, 'tableSync', { ...incrementing, run: 5 });
  // More than fit a page by their bytes, and fewer than a page has rows.
  expect(stepOf(report, 'sweep')).toMatchObject({ read: 100, written: 100, skipped: 0 });
  await sameOnBothSides(stores);
}, 400_000);
