import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { leftBehind } from '../support/left-behind.ts';
import {
  addTargets,
  configureLegacyApi,
  emptyTarget,
  openStores,
  type Stores,
} from '../support/migration.ts';
import { run } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

/** Stands in rows, and nowhere in what a run leaves or a command prints. */
const canary = 'canary9d1c';

let world: World;
let stores: Stores;
let outside: Server;
let told: string[];

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  told = [];
  outside = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => void told.push(text));
    request.on('end', () => response.end());
  });
  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  const url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}/`;
  await world.startWorker({ environment: { ALERT_WEBHOOK_URL: url, DEAD_LETTER_WEBHOOK_URL: url } });
});

afterAll(async () => {
  outside?.closeAllConnections();
  outside?.close();
  await stores?.close();
  await world?.dispose();
});

afterEach(async () => {
  await stores.migration.query(
    'DROP FUNCTION IF EXISTS refuse() CASCADE; DROP SCHEMA IF EXISTS shop CASCADE',
  );
  await stores.service.query('DROP SCHEMA IF EXISTS shop CASCADE');
  await emptyTarget(world, stores);
});

/** What was printed by a command that has ended as it was to, without the secret. */
async function printed(words: readonly string[], exitCode: number): Promise<string> {
  const ended = await keystride(words, world.environment);
  expect(ended.exitCode, `${words.join(' ')}\n${ended.stdout}${ended.stderr}`).toBe(exitCode);
  expect(`${ended.stdout}${ended.stderr}`).not.toContain(canary);
  return `${ended.stdout}${ended.stderr}`;
}

/** Looks through everything: what was left, told to webhooks, and what the commands say of the run. */
async function expectNothing(workflowId: string): Promise<void> {
  expect(await leftBehind(world, stores)).not.toContain(canary);
  expect(told.join('\n')).not.toContain(canary);
  for (const words of [['status', workflowId], ['list']])
    for (const more of [[], ['-o', 'json']]) await printed([...words, ...more], 0);
}

/** Runs a job that is to fail, and returns why. */
async function failing(job: string, parameters: object): Promise<{ message: string; workflowId: string }> {
  const handle = await world.start(job, parameters);
  const message = await handle.result().then(
    (report) => `it has completed: ${JSON.stringify(report)}`,
    (error: unknown) => String((error as Error).cause),
  );
  return { message, workflowId: handle.workflowId };
}

/** A trigger that quotes the secret: in its message, and in all that `RAISE` may say beside it. */
async function refuseOn(table: string, events: string): Promise<void> {
  await stores.migration.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE '%', '${canary}' USING DETAIL = '${canary}', HINT = '${canary}', COLUMN = '${canary}'; END $$;
    CREATE TRIGGER refuse BEFORE ${events} ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`);
}

async function addPoints(): Promise<void> {
  await stores.migration.query(
    `INSERT INTO point_event (member_id, type, amount, occurred_at)
     VALUES (1, 'ACCRUE', 5, '2025-10-01T12:00Z'), (1, 'USE', 2, '2025-10-01T12:00Z')`,
  );
}

test.each([
  ['set step', 'point_settlement', /SQLSTATE P0001.*function refuse line 2/u],
  ['tasklet', 'point_cut_off', /SQLSTATE P0001.*function refuse line 2/u],
])('a %s that a trigger fails', async (_, table, reason) => {
  await addPoints();
  await refuseOn(table, 'INSERT OR UPDATE');
  const { message, workflowId } = await failing('pointSettlement', { date: '2025-10-01' });
  expect(message).toMatch(reason);
  await expectNothing(workflowId);
  await stores.migration.query('TRUNCATE point_event, point_cut_off, point_settlement, point_daily_total');
});

test.each([
  ['cannot cast', 'v int', '22P02', /SQLSTATE/u],
  ['cuts', 'v varchar(3)', '22001', /SQLSTATE/u],
  ['checks', `v text CHECK (v <> '${canary}')`, '23514', /constraint k_v_check/u],
  ['has twice', 'v text UNIQUE', '23505', /constraint k_v_key/u],
])('tableSync into a sink that %s', async (_, column, state, reason) => {
  await stores.migration.query(`CREATE SCHEMA shop; CREATE TABLE shop.k (id int PRIMARY KEY, ${column})`);
  await stores.service.query(
    `CREATE SCHEMA shop; CREATE TABLE shop.k (id int PRIMARY KEY, v text);
     INSERT INTO shop.k VALUES (1, '${canary}'), (2, '${canary}')`,
  );
  const parameters = { source: 'shop.k', run: 1 };
  const { message } = await failing('tableSync', { ...parameters, skipLimit: 0 });
  expect(message).toContain(`SQLSTATE_${state}`);
  const { workflowId } = await run(world, 'tableSync', { ...parameters, run: 2 });
  // The log that is looked through below tells of the skips.
  expect(await leftBehind(world, stores)).toMatch(new RegExp(`SQLSTATE_${state}.*item skipped`, 'u'));
  for (const more of [[], ['-o', 'json']])
    expect(await printed(['skips', workflowId, 'list', ...more], 0)).toMatch(reason);
  await expectNothing(workflowId);
  // In one range: a plan tries the rows of the first alone.
  const planned = [
    'plan',
    'tableSync',
    '-p',
    'source=shop.k',
    '-p',
    'run=3',
    '-p',
    'partitions=1',
    '--rows',
    '0',
  ];
  for (const more of [[], ['-o', 'json']]) expect(await printed([...planned, ...more], 1)).toMatch(reason);
});

test('skips, their export, redrive and waiver, and a repair that is refused', async () => {
  await addTargets(stores, 12);
  await configureLegacyApi(world, { overrides: { 'T-0000003': '400', 'T-0000004': '400' } });
  const handle = await world.start('documentMigration', {}, 'documentMigration:run=1');
  await handle.result();
  await configureLegacyApi(world, { overrides: {} });
  expect(await stores.migration.query('SELECT FROM keystride.skip')).toMatchObject({ rowCount: 2 });
  await refuseOn('preprocess_job', 'INSERT OR UPDATE');
  const instance = 'documentMigration:run=1';
  for (const more of [[], ['-o', 'json']]) {
    await printed(['skips', instance, 'list', ...more], 0);
    await printed(['skips', instance, 'redrive', '--watch', ...more], 1);
    await printed(['skips', instance, 'list', ...more], 0);
  }
  await printed(['skips', instance, 'export'], 0);
  await stores.migration.query(
    'DELETE FROM preprocess_job WHERE ticket_key = (SELECT min(ticket_key) FROM preprocess_job)',
  );
  for (const more of [[], ['-o', 'json']]) {
    await printed(['verify', instance, ...more], 1);
    await printed(['verify', instance, '--repair', ...more], 1);
  }
  await printed(['skips', instance, 'waive', '--reason', 'x'], 0);
  await expectNothing(instance);
});

test('a migration that the database refuses names its file and the SQLSTATE', async () => {
  await stores.migration.query(`
    DELETE FROM keystride.schema_migration WHERE name LIKE '0013%';
    ALTER TABLE keystride.stream_offset DROP COLUMN shape;
    DROP TABLE keystride.met_shape, keystride.postponed_row`);
  await refuseOn('keystride.schema_migration', 'INSERT');
  const words = ['migrate', '--only', 'ledger'];
  for (const more of [[], ['-o', 'json'], ['--debug']])
    expect(await printed([...words, ...more], 1)).toMatch(/0013_\w+\.sql: .*SQLSTATE P0001/u);
  await stores.migration.query('DROP FUNCTION refuse() CASCADE');
  await printed(words, 0);
});

test('demo data that a trigger refuses', async () => {
  await refuseOn('orders', 'INSERT');
  for (const more of [[], ['-o', 'json'], ['--debug']])
    expect(await printed(['demo-data', 'orders', '--count', '10', ...more], 1)).toMatch(/SQLSTATE P0001/u);
});

test.each([
  ['a row that a trigger refuses', "RAISE '%', OLD.status || '" + canary + "';"],
  ['a cast', `PERFORM '${canary}'::text::int;`],
])('plan names %s without quoting it, in --debug too', async (_, body) => {
  await keystride(['demo-data', 'orders', '--count', '100'], world.environment);
  await stores.migration.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()`);
  const words = ['plan', 'purchaseConfirmation', '-p', 'deliveredBefore=2099-01-01'];
  for (const more of [[], ['-o', 'json'], ['--debug']])
    expect(await printed([...words, ...more], 1)).toMatch(/SQLSTATE \w{5}/u);
});
