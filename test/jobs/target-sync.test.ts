import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDemoDocuments } from '../../src/dev/demo-data/documents.ts';
import { emptyTarget, openStores, type Stores } from '../support/migration.ts';
import { reportOf, run, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

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
  await emptyTarget(world, stores);
  await stores.service.query('TRUNCATE legacy_document, preprocess_document RESTART IDENTITY');
});

interface Copied {
  ticket_key: string;
  member_id: string | null;
  document_name: string | null;
  uploaded_at: string | null;
}

const copied = 'ticket_key, member_id, document_name, uploaded_at::text';

async function targets(): Promise<Copied[]> {
  const { rows } = await stores.migration.query<Copied>(
    `SELECT ${copied} FROM migration_target ORDER BY ticket_key`,
  );
  return rows;
}

/** What qualifies, by a query of the test's own. */
async function qualifying(): Promise<Copied[]> {
  const { rows } = await stores.service.query<Copied>(
    `SELECT ${copied} FROM legacy_document LEFT JOIN preprocess_document AS done USING (ticket_key)
      WHERE done.id IS NULL ORDER BY ticket_key`,
  );
  return rows;
}

async function addDocuments(first: number, last: number): Promise<void> {
  await stores.service.query(
    `INSERT INTO legacy_document (ticket_key, document_name, uploaded_at)
     SELECT 'T-' || lpad(n::text, 7, '0'), 'Essay ' || n, timestamptz '2025-03-01 00:00:00.000001Z' + n * interval '1 microsecond'
       FROM generate_series($1::int, $2::int) AS n ORDER BY n`,
    [first, last],
  );
}

async function offset(): Promise<{ cursor: string | null; settled: boolean } | undefined> {
  const { rows } = await stores.migration.query<{ cursor: string | null; settled: boolean }>(
    'SELECT cursor, settled FROM keystride.stream_offset',
  );
  return rows[0];
}

test('bulk copies every document that has no preprocess document, to the microsecond', async () => {
  await createDemoDocuments({
    sourceDatabaseUrl: world.sourceDatabaseUrl,
    count: 20_000,
    preprocessedShare: 0.1,
  });
  const expected = await qualifying();
  expect(expected.length).toBeGreaterThan(17_000);
  expect(expected.length).toBeLessThan(19_000);
  const report = await run(world, 'targetSync');
  expect(report).toMatchObject({ status: 'completed', instance: 'targetSync:mode=bulk,run=1' });
  expect(stepOf(report, 'copy')).toMatchObject({
    expected: expected.length,
    read: expected.length,
    written: expected.length,
    partitions: { total: 4, done: 4, failed: 0 },
  });
  expect(await targets()).toEqual(expected);
  expect(expected.filter(({ uploaded_at }) => /\.\d{5}[1-9]/.test(uploaded_at ?? '')).length).toBeGreaterThan(
    15_000,
  );
});

test.for([1, 2, 7, 16])('the ranges of %i partitions meet without gap or overlap', async (partitions) => {
  await addDocuments(1, 1000);
  await stores.service.query('DELETE FROM legacy_document WHERE id % 3 = 0 OR id BETWEEN 400 AND 800');
  await run(world, 'targetSync', { partitions });
  const { rows } = await stores.migration.query<{ lower: string | null; upper: string; read: string }>(
    `SELECT lower, upper, read FROM keystride.checkpoint WHERE step = 'copy' ORDER BY partition`,
  );
  expect(rows).toHaveLength(partitions);
  expect(rows.map(({ lower }) => lower)).toEqual([null, ...rows.slice(0, -1).map(({ upper }) => upper)]);
  expect(rows.at(-1)?.upper).toBe('["1000"]');
  expect(await targets()).toEqual(await qualifying());
});

test('what documentMigration has noted of a target is never overwritten', async () => {
  await addDocuments(1, 20);
  await run(world, 'targetSync');
  const id = '7d444840-9dc0-51d1-b245-5ffdce74fad2';
  await stores.migration.query(
    `UPDATE migration_target SET migrated = true, migrated_at = '2025-05-01', preprocess_id = $1 WHERE id <= 10`,
    [id],
  );
  await stores.service.query(`UPDATE legacy_document SET document_name = 'renamed'`);
  await run(world, 'targetSync', { run: 2 });
  const { rows } = await stores.migration.query(
    `SELECT migrated, preprocess_id, migrated_at IS NOT NULL AS dated, document_name, count(*)::int AS rows
       FROM migration_target GROUP BY 1, 2, 3, 4 ORDER BY 1`,
  );
  expect(rows).toEqual([
    { migrated: false, preprocess_id: null, dated: false, document_name: 'renamed', rows: 10 },
    { migrated: true, preprocess_id: id, dated: true, document_name: 'renamed', rows: 10 },
  ]);
});

test('incrementing reads only what is above the offset of the run before', async () => {
  await addDocuments(1, 500);
  const first = await run(world, 'targetSync', { mode: 'incrementing' });
  expect(stepOf(first, 'copy')).toMatchObject({ read: 500, written: 500 });
  expect(stepOf(first, 'remember')).toMatchObject({ status: 'completed', result: { moved: true } });
  expect(await offset()).toEqual({ cursor: '["500"]', settled: true });

  await stores.service.query(`UPDATE legacy_document SET document_name = 'renamed' WHERE id = 1`);
  await addDocuments(501, 530);
  const second = await run(world, 'targetSync', { mode: 'incrementing', run: 2 });
  expect(stepOf(second, 'copy')).toMatchObject({ read: 30, written: 30 });
  expect(await offset()).toEqual({ cursor: '["530"]', settled: true });

  const third = await run(world, 'targetSync', { mode: 'incrementing', run: 3 });
  expect(stepOf(third, 'copy')).toMatchObject({ read: 0, written: 0 });
  expect(await offset()).toEqual({ cursor: '["530"]', settled: true });
  expect(await targets()).toHaveLength(530);
});

/** A transaction that has inserted a document and stays open. */
async function openInsert(key: string): Promise<{ id: string; commit(): Promise<void> }> {
  const client = new pg.Client({ connectionString: world.sourceDatabaseUrl });
  await client.connect();
  await client.query('BEGIN');
  const { rows } = await client.query<{ id: string }>(
    'INSERT INTO legacy_document (ticket_key) VALUES ($1) RETURNING id',
    [key],
  );
  return {
    id: rows[0]?.id ?? '',
    commit: async () => {
      await client.query('COMMIT');
      await client.end();
    },
  };
}

test('a row whose transaction commits while the run waits for it is copied by that run', async () => {
  await addDocuments(1, 100);
  const late = await openInsert('late');
  await addDocuments(101, 150);
  expect(late.id).toBe('101');
  const handle = await world.start('targetSync', { mode: 'incrementing' });
  await delay(2_000);
  await late.commit();
  expect(stepOf(await reportOf(handle), 'copy')).toMatchObject({ read: 151, written: 151 });
  expect(await targets()).toEqual(await qualifying());
});

test('a row whose transaction outlasts the run is copied by the next one', async () => {
  await addDocuments(1, 100);
  const late = await openInsert('late');
  await addDocuments(101, 150);
  const first = await run(world, 'targetSync', { mode: 'incrementing' });
  expect(stepOf(first, 'copy')).toMatchObject({ read: 150 });
  expect(stepOf(first, 'remember')).toMatchObject({ result: { moved: false } });
  await late.commit();
  await run(world, 'targetSync', { mode: 'incrementing', run: 2 });
  expect(await targets()).toEqual(await qualifying());
  expect(await offset()).toEqual({ cursor: '["151"]', settled: true });
});

test('a copy whose worker dies goes on with another, and no row is missing', async () => {
  await createDemoDocuments({ sourceDatabaseUrl: world.sourceDatabaseUrl, count: 60_000 });
  const worker = world.workers[0];
  const handle = await world.start('targetSync');
  await waitFor(async () => {
    const { rows } = await stores.migration.query<{ count: string }>('SELECT count(*) FROM migration_target');
    return Number(rows[0]?.count) > 0;
  });
  await worker?.kill('SIGKILL');
  await worker?.restart();
  expect(stepOf(await reportOf(handle), 'copy')).toMatchObject({ read: 60_000, written: 60_000 });
  expect(await targets()).toEqual(await qualifying());
});
