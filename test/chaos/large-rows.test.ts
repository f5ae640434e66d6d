import { existsSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { peakMb } from '../../bench/processes.ts';
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
    await sameOnBothSides(stores);
    expect(peakMb(pid)).toBeLessThan(700);
  },
  400_000,
);

/** Longer than a pool waits. */
async function patiently(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: world.sourceDatabaseUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

test('a value that no text can hold is a skip by its key, and the worker goes on', async () => {
  await stores.service.query('ALTER TABLE shop.item ADD COLUMN bytes bytea');
  await stores.migration.query('ALTER TABLE shop.item ADD COLUMN bytes bytea');
  await stores.service.query('ALTER TABLE shop.item ALTER COLUMN body SET STORAGE EXTENDED');
  for (const rows of [
    `SELECT n, 'small' FROM generate_series(1, 20) AS n`,
    // Longer than a text of this process; in hexadecimal, than what the server can send; escaped, than a text again.
    `VALUES (21, repeat('x', 540000000))`,
    `SELECT n, 'small', '\\x00'::bytea FROM generate_series(22, 23) AS n`,
    `SELECT 24, 'small', convert_to(repeat('x', 540000000), 'UTF8')`,
    `SELECT 25, repeat(E'\\\\', 300000000)`,
    `VALUES (26, 'small')`,
  ])
    await patiently(`INSERT INTO shop.item ${rows}`);
  await world.startWorker();
  const report = await run(world, 'tableSync', { run: 2, source: 'shop.item', partitions: 1 });
  // What could not be read is not among what was read.
  expect(stepOf(report, 'copy')).toMatchObject({ read: 24, written: 23, skipped: 3 });
  const { rows } = await stores.migration.query(
    'SELECT item_key AS key, code, phase FROM keystride.skip ORDER BY item_key',
  );
  expect(rows).toEqual([
    { key: '21', code: 'ValueTooLarge', phase: 'read' },
    { key: '24', code: 'ValueTooLarge', phase: 'read' },
    { key: '25', code: 'ValueTooLarge', phase: 'write' },
  ]);
  expect(world.workers.map(({ pid }) => pid)).not.toContain(undefined);
}, 600_000);
