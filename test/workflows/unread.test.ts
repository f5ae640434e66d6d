import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { run } from '../support/runs.ts';
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

beforeEach(async () => {
  await keystride(['demo-data', 'orders', '--count', '100'], world.environment);
});

afterEach(async () => {
  await stores.migration.query(
    'DROP FUNCTION IF EXISTS meanwhile() CASCADE; TRUNCATE orders; DELETE FROM keystride.instance',
  );
});

/** Has something done when the step has been planned, before its first page. */
async function afterPlan(statement: string): Promise<void> {
  await stores.migration.query(`
    CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${statement} RETURN NEW; END $$;
    CREATE TRIGGER meanwhile BEFORE INSERT ON keystride.step FOR EACH ROW EXECUTE FUNCTION meanwhile()`);
}

const deletion = 'DELETE FROM orders WHERE id % 4 = 0;';
const parameters = { deliveredBefore: '2099-01-01' };

/** What the command and the log say of the rows that were not read. */
async function told(workflowId: string): Promise<string[]> {
  const { stdout } = await keystride(['status', workflowId], world.environment);
  const logs = await Promise.all(world.workers.map(({ logFile }) => readFile(logFile, 'utf8')));
  return [stdout, ...logs].map(
    (text) => / read \d+ of the \d+ rows that were counted/u.exec(text)?.[0] ?? '',
  );
}

test('a step that reads fewer rows than were counted completes, and says so', async () => {
  await afterPlan(deletion);
  const { status, steps, workflowId } = await run(world, 'purchaseConfirmation', parameters);
  const [step] = steps;
  expect(status).toBe('completed');
  const { read = 0, expected, unread = 0 } = step ?? {};
  expect(unread).toBeGreaterThan(0);
  expect(read + unread).toBe(expected);
  const line = ` read ${read} of the ${expected} rows that were counted`;
  expect(await told(workflowId)).toEqual([line, line]);
});

test.each([
  ['where all were read', ''],
  [
    'where an earlier release has planned the step, and may have estimated',
    `NEW.counted := NULL; ${deletion}`,
  ],
])('nothing is said %s', async (_, statement) => {
  await afterPlan(statement);
  const { status, steps } = await run(world, 'purchaseConfirmation', parameters);
  expect(status).toBe('completed');
  expect(steps[0]).not.toHaveProperty('unread');
});
