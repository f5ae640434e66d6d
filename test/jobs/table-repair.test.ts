import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { keystride } from '../cli/support.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { run, startVerification } from '../support/runs.ts';
import { emptyShop } from '../support/shop.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  await world.startWorker();
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

beforeEach(() => emptyShop(stores));

let runs = 0;

async function synced(collation: string): Promise<{ parameters: object; workflowId: string }> {
  await stores.service.query(
    `CREATE TABLE shop.k (code text COLLATE "en-x-icu" PRIMARY KEY, note text);
     INSERT INTO shop.k
     SELECT CASE WHEN i % 2 = 0 THEN chr(65 + i % 26) ELSE chr(97 + i % 26) END || lpad((i * 7919 % 50000)::text, 5, '0'), 'n'
       FROM generate_series(1, 3000) AS i`,
  );
  await stores.migration.query(
    `CREATE TABLE shop.k (code text COLLATE "${collation}" PRIMARY KEY, note text);
     CREATE TABLE shop.child (code text COLLATE "${collation}" REFERENCES shop.k ON DELETE CASCADE)`,
  );
  const parameters = { source: 'shop.k', run: (runs += 1) };
  const { workflowId } = await run(world, 'tableSync', parameters);
  await stores.migration.query('INSERT INTO shop.child SELECT code FROM shop.k');
  return { parameters, workflowId };
}

test('between an ICU key and one of bytes one damaged row is one difference, and its repair removes nothing', async () => {
  const { parameters } = await synced('C');
  await stores.migration.query(
    `UPDATE shop.k SET note = 'damaged' WHERE code = (SELECT code FROM shop.k OFFSET 300 LIMIT 1)`,
  );
  const verified = async (repair: boolean) =>
    (await (
      await startVerification(world, { job: 'tableSync', parameters, repair })
    ).result()) as VerificationReport;
  expect(await verified(false)).toMatchObject({ verified: false, compared: 3000, differences: 1 });
  expect(await verified(true)).toMatchObject({ verified: true, differences: 0, repaired: 1, removed: 0 });
  const { rows } = await stores.migration.query('SELECT count(*)::int AS children FROM shop.child');
  expect(rows).toEqual([{ children: 3000 }]);
});

test('verify says what a repair would remove, and a repair what it has removed', async () => {
  const { workflowId: id } = await synced('en-x-icu');
  await stores.migration.query(`INSERT INTO shop.k VALUES ('ours', 'kept here'), ('ours too', 'kept here')`);
  const environment = world.environment;
  const found = await keystride(['verify', id], environment);
  expect(found).toMatchObject({ exitCode: 1 });
  expect(found.stdout).toContain('2 differences');
  expect(found.stdout).toContain('2 of them have no source: --repair removes them where the job can');
  const repaired = await keystride(['verify', id, '--repair'], environment);
  expect(repaired).toMatchObject({ exitCode: 0 });
  expect(repaired.stdout).toContain('0 differences, 2 repaired, 2 removed from the target');
  const again = await keystride(['verify', id, '--repair', '-o', 'json'], environment);
  // However many pages a repair has, it is one entry.
  const audit = await keystride(['audit', id, '--what', 'verify repair', '-o', 'json'], environment);
  expect(audit.json()).toMatchObject([
    { job: 'tableSync', workflowId: expect.stringContaining(`verification/${id}/`) as string },
    { job: 'tableSync', from: 'command' },
  ]);
  expect(again.json()).toMatchObject({ verified: true, removed: 0, removable: 0 });
});

test('what a verification runs in the databases ends when it is terminated', async () => {
  const { parameters } = await synced('C');
  const blocker = await stores.migration.connect();
  const waiting = async () => {
    const { rows } = await stores.migration.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%keystride_hash%'`,
    );
    return rows[0]?.waiting;
  };
  try {
    // As a comparison that takes long would.
    await blocker.query('BEGIN; LOCK TABLE shop.k');
    const handle = await startVerification(world, { job: 'tableSync', parameters });
    await expect.poll(waiting, { timeout: 30_000 }).toBe(1);
    await handle.terminate('given up');
    await expect.poll(waiting, { timeout: 30_000 }).toBe(0);
  } finally {
    await blocker.query('ROLLBACK');
    blocker.release();
  }
});
