import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { blocksOf } from '../support/docs.ts';
import { keystride } from '../cli/support.ts';
import { createWorld, type World } from '../support/stack.ts';

/** The rights that `docs/deployment.md` gives the role of workers are enough for a run, and for looking at it. */
const page = readFileSync(path.join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
const role = `jobs_worker_${randomUUID().replaceAll('-', '')}`;
let world: World;

beforeAll(async () => {
  world = await createWorld();
});

afterAll(async () => {
  await world?.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await world?.dispose();
});

test('a worker with the least rights finishes a run', async () => {
  const grants = blocksOf(page).find(({ language }) => language === 'sql')?.text ?? '';
  expect(grants).toContain('jobs_worker');
  await createDemoOrders({ databaseUrl: world.databaseUrl, count: 2_000, deliveredShare: 1 });
  await world.database.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'worker'; ${grants.replaceAll('jobs_worker', role)};
     GRANT SELECT, UPDATE ON orders TO ${role}`,
  );
  const url = Object.assign(new URL(world.databaseUrl), { username: role, password: 'worker' });
  const environment = { DATABASE_URL: url.href };
  await world.startWorker({ environment });
  const run = await world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' });
  expect(await run.result()).toMatchObject({ status: 'completed', steps: [{ written: 2_000 }] });
  const status = await keystride(['status', run.workflowId], { ...world.environment, ...environment });
  expect(status).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('2,000') });
});
