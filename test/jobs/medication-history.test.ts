import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoMedication } from '../../src/demo-data/medication.ts';
import { emptyTarget, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { control, failureOf, reportOf, run, startVerification, stepOf, until } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

const date = '2025-10-02';
const instance = `medicationHistory:date=${date}`;
const variants = ['set', 'items'] as const;

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
  await emptyTarget(world, stores);
  await stores.migration.query('DROP TRIGGER IF EXISTS meanwhile ON history');
});

/** Every ninth row or so is not to be taken on the day. */
async function fill(count: number): Promise<void> {
  await createDemoMedication({ databaseUrl: world.databaseUrl, count, reset: true });
  await stores.migration.query(`
    UPDATE management SET deleted = true WHERE id % 31 = 0;
    UPDATE management SET start_date = '2025-10-03' WHERE id % 37 = 0;
    UPDATE management SET end_date = '2025-10-01' WHERE id % 29 = 0;
    UPDATE management SET start_date = '${date}', end_date = '${date}' WHERE id % 41 = 0;`);
}

const eligible = `NOT deleted AND '${date}' BETWEEN start_date AND end_date`;
const flags = 'morning, lunch, dinner, sleep';
const marks = 'morning_taking, lunch_taking, dinner_taking, sleep_taking';

async function value<Value>(query: string): Promise<Value> {
  const { rows } = await stores.migration.query<{ value: Value }>(`SELECT (${query}) AS value`);
  return rows[0]?.value as Value;
}

function hashOf(query: string): Promise<string> {
  return value(`SELECT md5(string_agg(row::text, E'\\n' ORDER BY row::text)) FROM (${query}) AS row`);
}

/** Every column that a job decides about, ids and times aside. */
const historyRows = `SELECT management_id, member_id, ${flags}, ${marks}, taking_date, deleted FROM history`;
const managementRows = `SELECT id, member_id, medication_name, ${flags}, ${marks}, start_date, end_date, deleted FROM management`;

/** What the tables are to hold afterwards, by queries of the test's own over what they hold now. */
async function expectedHashes(): Promise<string[]> {
  const reset = marks.replaceAll(/(\w+)/g, `$1 AND NOT (${eligible}) AS $1`);
  return [
    await hashOf(`SELECT id AS management_id, member_id, ${flags}, ${marks}, date '${date}' AS taking_date, deleted
                    FROM management WHERE ${eligible}`),
    await hashOf(managementRows.replace(marks, reset)),
  ];
}

async function hashes(): Promise<string[]> {
  return [await hashOf(historyRows), await hashOf(managementRows)];
}

/** Something that happens in the database while rows are being inserted into history. */
async function meanwhile(statement: string): Promise<void> {
  await stores.migration.query(`
    CREATE OR REPLACE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN ${statement}; RETURN NULL; END $$;
    CREATE TRIGGER meanwhile AFTER INSERT ON history FOR EACH STATEMENT EXECUTE FUNCTION meanwhile()`);
}

test('of 100,000 rows each that is taken that day has one history row, in both variants alike', async () => {
  for (const variant of variants) {
    await stores.migration.query('TRUNCATE keystride.instance CASCADE');
    await fill(100_000);
    const expected = await expectedHashes();
    const rows = await value<number>(`SELECT count(*)::int FROM management WHERE ${eligible}`);
    expect(rows).toBeGreaterThan(85_000);
    const report = await run(world, 'medicationHistory', { date, variant });
    expect(report).toMatchObject({ status: 'completed', instance });
    expect(stepOf(report, 'snapshot')).toMatchObject({ read: rows, written: rows, filtered: 0, skipped: 0 });
    expect(await hashes(), variant).toEqual(expected);
  }
});

test.for(variants)(
  '%s: doing the day again changes nothing, the marks of the next day included',
  async (variant) => {
    await fill(12_000);
    await run(world, 'medicationHistory', { date, variant });
    await stores.migration.query('UPDATE management SET lunch_taking = true WHERE id % 3 = 0');
    const everything = async () => [
      await hashOf('SELECT * FROM management'),
      await hashOf('SELECT * FROM history'),
    ];
    const before = await everything();
    await stores.migration.query('TRUNCATE keystride.instance CASCADE');
    expect(await run(world, 'medicationHistory', { date, variant })).toMatchObject({ status: 'completed' });
    expect(await everything()).toEqual(before);
  },
);

test('a row that came after the first time has its turn when the day is done again, and it alone', async () => {
  await fill(1_000);
  await run(world, 'medicationHistory', { date });
  await stores.migration.query(`
    TRUNCATE keystride.instance CASCADE;
    UPDATE management SET dinner_taking = true;
    INSERT INTO management (member_id, medication_name, dinner_taking, start_date, end_date)
    VALUES (1, 'new', true, '${date}', '${date}')`);
  const again = stepOf(await run(world, 'medicationHistory', { date }), 'snapshot');
  expect(again).toMatchObject({ written: 1, filtered: again.read - 1 });
  expect(await value('SELECT array_agg(id)::text FROM management WHERE NOT dinner_taking')).toBe('{1001}');
});

test('a history row that has gone is named by verify, and written again by its repair', async () => {
  await fill(5_000);
  await run(world, 'medicationHistory', { date });
  // The marks of that day are gone with the row.
  const planned = `SELECT management_id, member_id, ${flags}, taking_date FROM history`;
  const before = await hashOf(planned);
  const verified = async (repair: boolean): Promise<unknown> =>
    (await startVerification(world, { job: 'medicationHistory', parameters: { date }, repair })).result();
  expect(await verified(false)).toMatchObject({ verified: true, differences: 0 });
  await stores.migration.query('DELETE FROM history WHERE management_id IN (2, 3001, 4998)');
  expect(await verified(false)).toMatchObject({
    verified: false,
    differences: 3,
    examples: ['key 2: missing', 'key 3001: missing', 'key 4998: missing'],
  });
  expect(await verified(true)).toMatchObject({ verified: true, differences: 0, repaired: 3 });
  expect(await hashOf(planned)).toBe(before);
});

test.for(variants)(
  '%s: a mark that is set while its row is written down stays for the next day',
  async (variant) => {
    await fill(100);
    await stores.migration.query(
      'UPDATE management SET morning_taking = true, sleep_taking = false WHERE id = 5',
    );
    await meanwhile('UPDATE management SET sleep_taking = true WHERE id = 5');
    await run(world, 'medicationHistory', { date, variant, partitions: 1 });
    expect(
      await value(`SELECT row(morning_taking, sleep_taking)::text FROM history WHERE management_id = 5`),
    ).toBe('(t,f)');
    expect(await value(`SELECT row(morning_taking, sleep_taking)::text FROM management WHERE id = 5`)).toBe(
      '(f,t)',
    );
  },
);

test('three starts at once, and one while it runs, make one run', async () => {
  await fill(20_000);
  const expected = await expectedHashes();
  await meanwhile('PERFORM pg_sleep(0.2)');
  const handles = await Promise.all(
    ['one', 'two', 'three'].map((id) => world.start('medicationHistory', { date }, id)),
  );
  await waitFor(async () => (await ledgerCounters(stores, 'snapshot')).read > 0);
  handles.push(await world.start('medicationHistory', { date, variant: 'items' }, 'later'));
  const ends = await Promise.allSettled(handles.map((handle) => reportOf(handle)));
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const [index, handle] of handles.entries()) {
    if (ends[index]?.status === 'rejected')
      expect((await failureOf(handle)).type).toMatch(
        /^JobExecutionAlreadyRunning$|^JobInstanceAlreadyComplete$/,
      );
  }
  expect(await value(`SELECT epoch::int FROM keystride.instance WHERE instance_key = '${instance}'`)).toBe(1);
  expect(await hashes()).toEqual(expected);
});

test('a worker is killed in the middle: each row is written once', async () => {
  await fill(20_000);
  const expected = await expectedHashes();
  await meanwhile('PERFORM pg_sleep(0.3)');
  const handle = await world.start('medicationHistory', { date, partitions: 1 });
  await waitFor(async () => (await ledgerCounters(stores, 'snapshot')).read > 0);
  const [worker] = world.workers;
  await worker?.kill('SIGKILL');
  await worker?.restart();
  expect(await reportOf(handle)).toMatchObject({ status: 'completed' });
  expect(await hashes()).toEqual(expected);
});

test('what was begun in one variant may be finished in the other', async () => {
  await fill(20_000);
  const expected = await expectedHashes();
  await meanwhile('PERFORM pg_sleep(0.3)');
  const begun = await world.start('medicationHistory', { date, variant: 'set', partitions: 1 });
  await waitFor(async () => (await ledgerCounters(stores, 'snapshot')).read > 0);
  await control(begun, 'stop', 'test');
  await until(world, begun.workflowId, 'stopped');
  const { read } = await ledgerCounters(stores, 'snapshot');
  const finished = stepOf(await run(world, 'medicationHistory', { date, variant: 'items' }), 'snapshot');
  expect(finished.read).toBeGreaterThan(read);
  expect(finished.written).toBe(await value('SELECT count(*)::int FROM history'));
  expect(await hashes()).toEqual(expected);
});

test('a date that is none is refused before anything is written', async () => {
  const { type, message } = await failureOf(
    await world.start('medicationHistory', { date: '2025-02-30', variant: 'sideways' }),
  );
  expect(type).toBe('JobParametersInvalid');
  expect(message).toMatch(/date: .*variant: .*Nothing was written/);
});

test.runIf(process.env['KEYSTRIDE_LONG'])(
  'a million rows, in both variants alike',
  async () => {
    for (const variant of variants) {
      await stores.migration.query('TRUNCATE keystride.instance CASCADE');
      await fill(1_000_000);
      const expected = await expectedHashes();
      await run(world, 'medicationHistory', { date, variant });
      expect(await hashes(), variant).toEqual(expected);
    }
  },
  600_000,
);
