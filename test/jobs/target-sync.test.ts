import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { beforeEach, expect, test } from 'vitest';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { commitInRandomOrder, during } from '../support/late-writer.ts';
import { emptyTarget } from '../support/migration.ts';
import { control, reportOf, run, startVerification, stepOf, until } from '../support/runs.ts';
import { useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

const shop = useShop({ ownServers: true });

beforeEach(async () => {
  await emptyTarget(shop.world, shop.stores);
  await shop.stores.service.query('TRUNCATE legacy_document, preprocess_document RESTART IDENTITY');
});

interface Copied {
  ticket_key: string;
  member_id: string | null;
  document_name: string | null;
  uploaded_at: string | null;
}

const copied = 'ticket_key, member_id, document_name, uploaded_at::text';

async function targets(): Promise<Copied[]> {
  const { rows } = await shop.stores.migration.query<Copied>(
    `SELECT ${copied} FROM migration_target ORDER BY ticket_key`,
  );
  return rows;
}

/** What qualifies, by a query of the test's own. */
async function qualifying(): Promise<Copied[]> {
  const { rows } = await shop.stores.service.query<Copied>(
    `SELECT ${copied} FROM legacy_document LEFT JOIN preprocess_document AS done USING (ticket_key)
      WHERE done.id IS NULL ORDER BY ticket_key`,
  );
  return rows;
}

async function addDocuments(first: number, last: number): Promise<void> {
  await shop.stores.service.query(
    `INSERT INTO legacy_document (ticket_key, document_name, uploaded_at)
     SELECT 'T-' || lpad(n::text, 7, '0'), 'Essay ' || n, timestamptz '2025-03-01 00:00:00.000001Z' + n * interval '1 microsecond'
       FROM generate_series($1::int, $2::int) AS n ORDER BY n`,
    [first, last],
  );
}

async function offset(): Promise<string | null | undefined> {
  const { rows } = await shop.stores.migration.query<{ cursor: string | null }>(
    'SELECT cursor FROM keystride.stream_offset',
  );
  return rows[0]?.cursor;
}

test('verify names targets that are missing or differ, and its repair heals them; what is done already stays', async () => {
  await addDocuments(1, 300);
  await run(shop.world, 'targetSync');
  const verified = async (repair: boolean): Promise<unknown> =>
    (await startVerification(shop.world, { job: 'targetSync', repair })).result();
  // No target any more, and still in the table: what it was copied for is done.
  await shop.stores.service.query(`INSERT INTO preprocess_document (ticket_key) VALUES ('T-0000200')`);
  expect(await verified(false)).toMatchObject({ verified: true, compared: 299, differences: 0 });
  await shop.stores.migration.query(`
    DELETE FROM migration_target WHERE ticket_key = 'T-0000007';
    UPDATE migration_target SET uploaded_at = uploaded_at + interval '1 microsecond' WHERE ticket_key = 'T-0000290'`);
  const examples = ['key T-0000007: missing', 'key T-0000290: different'];
  expect(await verified(false)).toMatchObject({ verified: false, differences: 2, examples });
  expect(await verified(true)).toMatchObject({ verified: true, differences: 0, repaired: 2 });
  expect((await targets()).filter(({ ticket_key }) => ticket_key !== 'T-0000200')).toEqual(
    await qualifying(),
  );
});

test('bulk copies every document that has no preprocess document, to the microsecond', async () => {
  await createDemoDocuments({
    sourceDatabaseUrl: shop.world.sourceDatabaseUrl,
    count: 20_000,
    preprocessedShare: 0.1,
  });
  const expected = await qualifying();
  expect(expected.length).toBeGreaterThan(17_000);
  expect(expected.length).toBeLessThan(19_000);
  const report = await run(shop.world, 'targetSync');
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
  await shop.stores.service.query('DELETE FROM legacy_document WHERE id % 3 = 0 OR id BETWEEN 400 AND 800');
  await run(shop.world, 'targetSync', { partitions });
  const { rows } = await shop.stores.migration.query<{ lower: string | null; upper: string; read: string }>(
    `SELECT lower, upper, read FROM keystride.checkpoint WHERE step = 'copy' ORDER BY partition`,
  );
  expect(rows).toHaveLength(partitions);
  expect(rows.map(({ lower }) => lower)).toEqual([null, ...rows.slice(0, -1).map(({ upper }) => upper)]);
  expect(rows.at(-1)?.upper).toBe('["1000"]');
  expect(await targets()).toEqual(await qualifying());
});

test('what documentMigration has noted of a target is never overwritten', async () => {
  await addDocuments(1, 20);
  await run(shop.world, 'targetSync');
  const id = '7d444840-9dc0-51d1-b245-5ffdce74fad2';
  await shop.stores.migration.query(
    `UPDATE migration_target SET migrated = true, migrated_at = '2025-05-01', preprocess_id = $1 WHERE id <= 10`,
    [id],
  );
  await shop.stores.service.query(`UPDATE legacy_document SET document_name = 'renamed'`);
  await run(shop.world, 'targetSync', { run: 2 });
  const { rows } = await shop.stores.migration.query(
    `SELECT migrated, preprocess_id, migrated_at IS NOT NULL AS dated, document_name, count(*)::int AS rows
       FROM migration_target GROUP BY 1, 2, 3, 4 ORDER BY 1`,
  );
  expect(rows).toEqual([
    { migrated: false, preprocess_id: null, dated: false, document_name: 'renamed', rows: 10 },
    { migrated: true, preprocess_id: id, dated: true, document_name: 'renamed', rows: 10 },
  ]);
});

/** Runs the next sync of a mode. */
let runs = 0;
const sync = (mode: string, parameters: object = {}) =>
  run(shop.world, 'targetSync', { mode, partitions: 1, run: (runs += 1), ...parameters });

test('incrementing reads what is above the offset of the run before, and what was written below it since', async () => {
  await addDocuments(1, 500);
  const first = await sync('incrementing');
  expect(stepOf(first, 'copy')).toMatchObject({ read: 500, written: 500 });
  expect(stepOf(first, 'remember')).toMatchObject({ status: 'completed', result: { moved: true } });
  expect(await offset()).toBe('["500"]');

  await addDocuments(501, 530);
  const second = await sync('incrementing');
  expect(stepOf(second, 'copy')).toMatchObject({ read: 30, written: 30 });
  expect(await offset()).toBe('["530"]');

  await shop.stores.service.query(
    `UPDATE legacy_document SET document_name = 'renamed' WHERE id IN (1, 300)`,
  );
  const third = await sync('incrementing');
  expect(stepOf(third, 'copy')).toMatchObject({ read: 0, written: 0 });
  expect(stepOf(third, 'sweep')).toMatchObject({ expected: 2, read: 2, written: 2 });
  expect(await offset()).toBe('["530"]');
  expect(await targets()).toEqual(await qualifying());
});

test.for(['timestamp', 'timestamp+incrementing'])(
  '%s reads what was changed after the offset',
  async (mode) => {
    await addDocuments(1, 500);
    await shop.stores.service.query(`UPDATE legacy_document SET updated_at = '2025-04-01 00:00:00.000001Z'`);
    expect(stepOf(await sync(mode), 'copy')).toMatchObject({ read: 500, written: 500 });
    expect(await offset()).toMatch(/000001.*"500"/);

    await shop.stores.service.query(
      `UPDATE legacy_document SET document_name = 'renamed', updated_at = '2025-04-01 00:00:00.000002Z' WHERE id <= 20`,
    );
    expect(stepOf(await sync(mode), 'copy')).toMatchObject({ read: 20, written: 20 });
    expect(await offset()).toMatch(/000002.*"20"/);
    expect(await targets()).toEqual(await qualifying());

    const third = await sync(mode);
    expect([stepOf(third, 'copy').read, stepOf(third, 'sweep').read]).toEqual([0, 0]);
  },
);

/** A transaction that has inserted a document and stays open. */
async function openInsert(key: string): Promise<{ id: string; commit(): Promise<void> }> {
  const client = new pg.Client({
    connectionString: shop.world.sourceDatabaseUrl,
    application_name: 'a long story',
  });
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

test('a row that commits after its key was passed is copied by the next run, which waits for nobody', async () => {
  await addDocuments(1, 100);
  const late = await openInsert('late');
  await addDocuments(101, 150);
  expect(late.id).toBe('101');
  const first = await sync('incrementing');
  expect(stepOf(first, 'copy')).toMatchObject({ read: 150 });
  expect(await offset()).toBe('["151"]');
  const meanwhile = await sync('incrementing');
  expect(stepOf(meanwhile, 'begin').result).toMatchObject({
    behind: true,
    heldBackBy: { application: 'a long story', state: 'idle in transaction' },
  });
  await late.commit();
  const after = await sync('incrementing');
  expect(stepOf(after, 'begin').result).toMatchObject({ behind: false, heldBackBy: null });
  expect(stepOf(after, 'sweep').read).toBeGreaterThanOrEqual(1);
  expect(await targets()).toEqual(await qualifying());
  const last = await sync('incrementing');
  expect([stepOf(last, 'copy').read, stepOf(last, 'sweep').read]).toEqual([0, 0]);
});

test('a run that does not sweep leaves what is late to the next one that does', async () => {
  await addDocuments(1, 100);
  const late = await openInsert('late');
  await addDocuments(101, 150);
  await sync('incrementing');
  await late.commit();
  const hasty = await sync('incrementing', { sweepSeconds: 3600 });
  expect(stepOf(hasty, 'sweep').read).toBe(0);
  await addDocuments(151, 160);
  expect(stepOf(await sync('incrementing', { sweepSeconds: 3600 }), 'copy').read).toBe(10);
  expect(await targets()).toHaveLength(160);
  await sync('incrementing');
  expect(await targets()).toEqual(await qualifying());
});

test('1,000 transactions that commit in random order lose no row, and the offset only ever moves on', async () => {
  await addDocuments(1, 400);
  const offsets: number[] = [];
  const writing = commitInRandomOrder({
    databaseUrl: shop.world.sourceDatabaseUrl,
    table: 'legacy_document',
    transactions: 1000,
    connections: 12,
    held: 6,
  });
  await during(writing, async () => {
    await sync('incrementing');
    offsets.push(Number(JSON.parse((await offset()) ?? '[0]')[0]));
  });
  await sync('incrementing');
  expect(await targets()).toEqual(await qualifying());
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  const { rows } = await shop.stores.migration.query<{ step: string; read: string }>(
    'SELECT step, sum(read) AS read FROM keystride.checkpoint GROUP BY step ORDER BY step',
  );
  console.log(`found by each guard: ${JSON.stringify(rows)}`);
  expect(Number(rows.find(({ step }) => step === 'sweep')?.read)).toBeGreaterThan(0);
});

test('in a source that was set back the offset does not hold: everything is read again', async () => {
  await addDocuments(1, 100);
  await sync('incrementing');
  await shop.stores.migration.query(
    `UPDATE keystride.stream_offset SET horizon = (horizon::bigint + 1000000)::text`,
  );
  expect(stepOf(await sync('incrementing'), 'copy').read).toBe(100);
  await shop.stores.migration.query(`UPDATE keystride.stream_offset SET place = 'elsewhere'`);
  expect(stepOf(await sync('incrementing'), 'copy').read).toBe(100);
  expect(stepOf(await sync('incrementing'), 'copy').read).toBe(0);
});

test('continuous goes on, pauses, resumes and stops like any job', async () => {
  await addDocuments(1, 50);
  const id = 'continuous';
  const parameters = { mode: 'incrementing', poll: 'continuous', pollSeconds: 1 };
  const handle = await shop.world.start('targetSync', parameters, id);
  const copiedTo = (count: number) =>
    waitFor(async () => (await targets()).length === count, { what: `${count} targets` });
  await copiedTo(50);
  await addDocuments(51, 60);
  await copiedTo(60);
  await control(handle, 'pause', 'lunch');
  await until(shop.world, id, 'paused');
  await addDocuments(61, 70);
  await control(handle, 'resume');
  await copiedTo(70);
  await control(handle, 'stop', 'enough');
  const report = await reportOf(handle);
  expect(report).toMatchObject({ status: 'stopped', reason: 'enough' });
  expect(stepOf(report, 'poll')).toMatchObject({ kind: 'job', result: { status: expect.any(String) } });
  const again = await shop.world.start('targetSync', parameters, id);
  await addDocuments(71, 80);
  await copiedTo(80);
  await control(again, 'stop');
  await reportOf(again);
  expect(await targets()).toEqual(await qualifying());
});

test('continuous looks whether there is anything before it runs again, with whichever worker there is', async () => {
  await addDocuments(1, 50);
  const parameters = { mode: 'incrementing', poll: 'continuous', pollSeconds: 1 };
  const handle = await shop.world.start('targetSync', parameters, 'quiet');
  const polls = async () =>
    (await shop.stores.migration.query(`SELECT FROM keystride.instance WHERE status = 'completed'`))
      .rowCount ?? 0;
  const looks = async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'awaitDue');
  };
  await waitFor(async () => (await looks()) !== undefined, { what: 'a wait' });
  const eventsSoFar = async () => (await handle.fetchHistory()).events?.length;
  const before = [await polls(), await eventsSoFar()];
  expect(await targets()).toHaveLength(50);
  await shop.stores.migration.query(
    `UPDATE keystride.stream_offset SET updated_at = now() - interval '2 hours'`,
  );
  await delay(5_000);
  expect([await polls(), await eventsSoFar()], 'nothing was there to copy').toEqual(before);

  const { rowCount: behind } = await shop.stores.migration.query(
    `SELECT FROM keystride.stream_offset WHERE updated_at < now() - interval '1 hour'`,
  );
  expect(behind, 'streams that are told to be behind').toBe(0);

  const worker = shop.world.workers.at(-1);
  await worker?.kill();
  // One with so few places that it waits for nothing, and looks.
  const few = await shop.world.startWorker({ environment: { KEYSTRIDE_ACTIVITIES: '3' } });
  const timers = async () =>
    (await handle.fetchHistory()).events?.filter((event) => event.timerStartedEventAttributes).length ?? 0;
  const begun = await timers();
  await waitFor(async () => (await timers()) >= begun + 3, { what: 'looks' });
  expect(await polls(), 'nothing was there to copy').toBe(before[0]);
  // Below the offset, where no key tells of it.
  await shop.stores.service.query(`UPDATE legacy_document SET document_name = 'another' WHERE id = 7`);
  await waitFor(async () => (await targets()).some((row) => JSON.stringify(row).includes('another')), {
    what: 'the row that has changed',
  });
  await control(handle, 'stop');
  await reportOf(handle);
  expect(await targets()).toEqual(await qualifying());
  await few.stop();
  await shop.world.startWorker();
});

test('a copy whose worker dies goes on with another, and no row is missing', async () => {
  await createDemoDocuments({ sourceDatabaseUrl: shop.world.sourceDatabaseUrl, count: 60_000 });
  const worker = shop.world.workers.at(-1);
  const handle = await shop.world.start('targetSync');
  await waitFor(async () => {
    const { rows } = await shop.stores.migration.query<{ count: string }>(
      'SELECT count(*) FROM migration_target',
    );
    return Number(rows[0]?.count) > 0;
  });
  await worker?.kill('SIGKILL');
  await worker?.restart();
  expect(stepOf(await reportOf(handle), 'copy')).toMatchObject({ read: 60_000, written: 60_000 });
  expect(await targets()).toEqual(await qualifying());
});
