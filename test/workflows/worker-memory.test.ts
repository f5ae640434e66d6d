import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { peakMb } from '../../bench/processes.ts';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { withBoundedMemory } from '../../packages/keystride/src/host/worker-memory.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});

afterAll(() => world?.dispose());

test.skipIf(!existsSync('/proc/self/status'))(
  'rows pass through a worker as fast as the database gives them, and it stays below 300 MB',
  async () => {
    const count = 500_000;
    await createDemoOrders({ databaseUrl: world.databaseUrl, count, deliveredShare: 1 });
    const { pid = 0 } = await world.startWorker();
    const run = await world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' });
    expect(stepOf(await reportOf(run), 'confirm')).toMatchObject({ read: count });
    expect(peakMb(pid)).toBeLessThan(300);
  },
);

test('what an operator sets for a worker himself is kept to', () => {
  const own = { NODE_OPTIONS: '--max-semi-space-size=64', MALLOC_ARENA_MAX: '8' };
  const { NODE_OPTIONS = '', MALLOC_ARENA_MAX } = withBoundedMemory(own);
  // Of an option that is there twice the last one holds.
  expect(NODE_OPTIONS).toMatch(/^--max-semi-space-size=\d+ --max-semi-space-size=64$/);
  expect(MALLOC_ARENA_MAX).toBe('8');
});

test('the image starts a worker as the command does', () => {
  const image = readFileSync(path.join(import.meta.dirname, '../../Dockerfile'), 'utf8');
  for (const [name, value] of Object.entries(withBoundedMemory({})))
    expect(image).toContain(`${name}=${value}`);
});
