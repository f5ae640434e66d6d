import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { peakMb } from '../../bench/processes.ts';
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

beforeEach(async () => {
  for (const pool of [stores.service, stores.migration]) {
    await pool.query('DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop');
    await pool.query('CREATE TABLE shop.item (id int PRIMARY KEY, body text)');
    // Packing such rows would take most of the test's time.
    await pool.query('ALTER TABLE shop.item ALTER COLUMN body SET STORAGE EXTERNAL');
  }
});

/** Text of so many megabytes for a row n. */
const megabytes = (count: number) => `repeat(md5(n::text), ${32_768 * count})`;

async function sameOnBothSides(): Promise<void> {
  const [source, sink] = await Promise.all(
    [stores.service, stores.migration].map(async (pool) => {
      const { rows } = await pool.query(
        `SELECT count(*)::int AS rows, md5(string_agg(id || ' ' || md5(body), ',' ORDER BY id)) AS hash FROM shop.item`,
      );
      return rows;
    }),
  );
  expect(sink).toEqual(source);
}

test.skipIf(!existsSync('/proc/self/status'))(
  'rows of a megabyte pass in four partitions, and the worker keeps to its bound',
  async () => {
    // All of them at once, as text, as parameters and as messages, were more than twice their size.
    const count = 500;
    await stores.service.query(
      `INSERT INTO shop.item SELECT n, ${megabytes(1)} FROM generate_series(1, ${count}) AS n`,
    );
    const { pid = 0 } = await world.startWorker();
    const report = await run(world, 'tableSync', { run: 1, source: 'shop.item' });
    expect(stepOf(report, 'copy')).toMatchObject({ read: count, written: count, skipped: 0 });
    await sameOnBothSides();
    expect(peakMb(pid)).toBeLessThan(700);
  },
  400_000,
);
