import { existsSync } from 'node:fs';
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
