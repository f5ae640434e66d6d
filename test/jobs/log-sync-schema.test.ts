import { isDeepStrictEqual } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { beforeEach, expect, test } from 'vitest';
import { logSyncs } from '../support/log-syncs.ts';
import type { Stores } from '../support/migration.ts';
import { control, failureOf, reportOf, stepOf } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

/** A source that is altered while it is followed in its log. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, onBoth, parametersOf, refusal, sync } = logSyncs(() => shop);

beforeEach(empty);

/** Starts a run that goes on until it is stopped, and waits until it reads the log. */
async function follow(): Promise<WorkflowHandle> {
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  await waitFor(
    async () => {
      const { steps } = await shop.world.progress(handle.workflowId);
      const slots = await rowsOf(shop.stores.service, 'pg_replication_slots');
      return (
        steps.some(({ step }) => step === 'follow') && slots.some((slot) => slot.includes('"active": true'))
      );
    },
    { what: 'the stream' },
  );
  return handle;
}

/** Waits until a run is held back, and tells why. */
async function heldBack({ workflowId }: WorkflowHandle, told: RegExp): Promise<string> {
  return waitFor(
    async () => {
      const { status, reason } = await shop.world.progress(workflowId);
      if (status === 'failed') throw new Error(`it has failed: ${reason}`);
      return status === 'throttled' && reason !== null && told.test(reason) && reason;
    },
    { what: `to be held back for ${told.source}` },
  );
}

/** Does what a run waits for, and lets it look at once: it looks less and less often. */
async function mend(handle: WorkflowHandle, pool: Stores['service'], statement: string): Promise<void> {
  await pool.query(statement);
  await handle.executeUpdate('tune', { args: [{ rowsPerSecond: 100_000 }] });
}

/** Waits until the sink has what the source has. */
async function same(): Promise<void> {
  await waitFor(
    async () => isDeepStrictEqual(await rowsOf(shop.stores.migration), await rowsOf(shop.stores.service)),
    {
      what: 'the tables to be the same',
    },
  );
}

/** Runs the statement that a run is held back for. */
async function statementIn(handle: WorkflowHandle, told: RegExp): Promise<void> {
  const reason = await heldBack(handle, told);
  const statement = /(?:ALTER TABLE|UPDATE) .*?(?=, or |; or |$)/u.exec(reason)?.[0] ?? '';
  await mend(handle, shop.stores.migration, statement);
}

/** Ends a run, which has copied each row once. */
async function ended(handle: WorkflowHandle, copied: number): Promise<void> {
  await control(handle, 'stop');
  const report = await reportOf(handle).catch(() => shop.world.progress(handle.workflowId));
  expect(stepOf(report, 'copy').read).toBe(copied);
  expect(stepOf(report, 'follow').skipped).toBe(0);
}

test('what is altered within transactions waits for the statement that it tells, and goes on at its position', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note varchar(10))');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one')`);
  const handle = await follow();
  await same();
  await shop.stores.service.query(`BEGIN; INSERT INTO shop.k VALUES (2, 'two');
    ALTER TABLE shop.k ADD COLUMN more int DEFAULT 5; INSERT INTO shop.k VALUES (3, 'three', 6);
    UPDATE shop.k SET more = NULL WHERE id = 1; COMMIT`);
  await statementIn(handle, /ALTER TABLE "shop"."k" ADD COLUMN "more" integer DEFAULT '5', or/);
  await same();
  await shop.stores.service
    .query(`BEGIN; UPDATE shop.k SET note = 'ONE' WHERE id = 1; DELETE FROM shop.k WHERE id = 2;
    ALTER TABLE shop.k RENAME note TO remark; ALTER TABLE shop.k RENAME id TO number;
    INSERT INTO shop.k VALUES (4, 'four', 7); UPDATE shop.k SET number = 9 WHERE number = 3; COMMIT`);
  await heldBack(handle, /ADD COLUMN "(number|remark)" .*, or RENAME COLUMN/);
  await mend(
    handle,
    shop.stores.migration,
    'ALTER TABLE shop.k RENAME note TO remark; ALTER TABLE shop.k RENAME id TO number',
  );
  await same();
  await shop.stores.service.query(
    `ALTER TABLE shop.k ALTER remark TYPE varchar(20);
    INSERT INTO shop.k VALUES (5, 'more than ten')`,
  );
  await statementIn(handle, /ALTER TABLE "shop"."k" ALTER COLUMN "remark" TYPE character varying\(20\)/);
  await same();
  await shop.stores.service.query(`BEGIN; UPDATE shop.k SET more = 8; ALTER TABLE shop.k DROP more;
    INSERT INTO shop.k VALUES (6, 'six'); COMMIT`);
  await statementIn(handle, /more was dropped in the source: ALTER TABLE "shop"."k" DROP COLUMN "more"/);
  await same();
  await ended(handle, 1);
});

test('a default that the sink did not get is told with the statement that gives it', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  await shop.stores.service.query('INSERT INTO shop.k VALUES (1), (2)');
  const handle = await follow();
  await same();
  await shop.stores.service.query(`ALTER TABLE shop.k ADD COLUMN note text NOT NULL DEFAULT 'it''s'`);
  await shop.stores.migration.query('ALTER TABLE shop.k ADD COLUMN note text');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (3, 'three')`);
  await statementIn(handle, /UPDATE "shop"."k" SET "note" = 'it''s' WHERE/);
  await same();
  await ended(handle, 2);
});

test('a table that is renamed is waited for, and what it was told under the other name arrives', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  const handle = await follow();
  await shop.stores.service.query('INSERT INTO shop.k VALUES (1)');
  await same();
  await shop.stores.service.query('ALTER TABLE shop.k RENAME TO other; INSERT INTO shop.other VALUES (2)');
  await heldBack(handle, /the source has no table shop.k/);
  await mend(handle, shop.stores.service, 'ALTER TABLE shop.other RENAME TO k');
  await same();
  await ended(handle, 0);
});

test('columns that are not copied come and go, and types that the sink takes grow, without a word', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text, amount numeric)');
  await shop.stores.service.query(`ALTER TABLE shop.k ADD hidden int, ALTER note TYPE varchar(3),
    ALTER amount TYPE numeric(5,2)`);
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one', 1.50, 2)`);
  const columns = ['id', 'note', 'amount'];
  await sync({ columns });
  await shop.stores.service
    .query(`BEGIN; ALTER TABLE shop.k ADD other text DEFAULT 'x'; INSERT INTO shop.k VALUES (2, 'two');
    ALTER TABLE shop.k DROP hidden; INSERT INTO shop.k VALUES (3, 'thr', 3, 'y');
    ALTER TABLE shop.k ALTER note TYPE varchar(9), ALTER amount TYPE numeric(9,2);
    UPDATE shop.k SET note = 'two more', amount = 1234567.25 WHERE id = 2; COMMIT`);
  const report = await sync({ columns });
  expect(stepOf(report, 'begin').result).toMatchObject({ told: [] });
  expect(stepOf(report, 'copy').read).toBe(0);
  const { rows } = await shop.stores.service.query<{ row: string }>(
    'SELECT to_jsonb(k)::text AS row FROM (SELECT id, note, amount FROM shop.k) AS k',
  );
  expect(await rowsOf(shop.stores.migration)).toEqual(rows.map(({ row }) => row).toSorted());
});

test.for<[string, string]>([
  [
    'a column that came and went',
    `ALTER TABLE shop.k ADD passing int; INSERT INTO shop.k VALUES (2, 'two', 1, 3);
     ALTER TABLE shop.k DROP passing; ALTER TABLE shop.k ADD note2 text; ALTER TABLE shop.k DROP note2`,
  ],
  [
    'a name that changed hands',
    `ALTER TABLE shop.k RENAME note TO passing; ALTER TABLE shop.k RENAME amount TO note;
     ALTER TABLE shop.k RENAME passing TO amount; INSERT INTO shop.k VALUES (2, '5', 6)`,
  ],
  [
    'a name that was another in between',
    `ALTER TABLE shop.k RENAME note TO passing; INSERT INTO shop.k VALUES (2, 'two', 1);
     ALTER TABLE shop.k RENAME passing TO note`,
  ],
  [
    'an update whose row the log does not name',
    `ALTER TABLE shop.k ADD UNIQUE (amount); ALTER TABLE shop.k REPLICA IDENTITY USING INDEX k_amount_key;
     UPDATE shop.k SET id = 7; ALTER TABLE shop.k REPLICA IDENTITY DEFAULT`,
  ],
])('%s ends the run by name, or is found by the next, which copies again', async ([, altered]) => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text, amount text NOT NULL)');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one', 0)`);
  await sync();
  await shop.stores.service.query(altered);
  const started = await shop.world.start('tableSync', parametersOf({}));
  const first = await started.result().then(
    () => shop.world.progress(started.workflowId),
    async () => {
      expect((await failureOf(started)).message).toMatch(/cannot go on: .* copies everything again/);
      return shop.world.progress((await shop.world.start('tableSync', parametersOf({}))).workflowId);
    },
  );
  await waitFor(async () => (await shop.world.progress(first.workflowId)).status === 'completed', {
    what: 'the run',
  });
  const report = await shop.world.progress(first.workflowId);
  expect(stepOf(report, 'begin').result).toMatchObject({
    told: [expect.stringMatching(/everything is copied again/)],
  });
  await expectSame();
});

test('a replica identity of nothing lets rows be inserted, and the next run is refused with the statement', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY)');
  const handle = await follow();
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1)`);
  await same();
  await shop.stores.service.query(
    'ALTER TABLE shop.k REPLICA IDENTITY NOTHING; INSERT INTO shop.k VALUES (2)',
  );
  await same();
  await control(handle, 'stop');
  await handle.result().catch(() => undefined);
  expect(await refusal()).toMatch(/ALTER TABLE "shop"."k" REPLICA IDENTITY DEFAULT/);
  await shop.stores.service.query(
    'ALTER TABLE shop.k REPLICA IDENTITY DEFAULT; DELETE FROM shop.k WHERE id = 2',
  );
  expect(stepOf(await sync(), 'begin').result).toMatchObject({ told: [] });
  await expectSame();
});

test('what was altered while nobody followed is refused with its statement, and the next run goes on', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one')`);
  await sync();
  await shop.stores.service.query(
    `ALTER TABLE shop.k ADD COLUMN more text; INSERT INTO shop.k VALUES (2, 'two', 'x')`,
  );
  expect(await refusal()).toMatch(/ALTER TABLE "shop"."k" ADD COLUMN "more" text, .* Nothing was written/);
  await shop.stores.migration.query('ALTER TABLE shop.k ADD COLUMN more text');
  const report = await sync();
  expect(stepOf(report, 'begin').result).toMatchObject({ told: [] });
  expect(stepOf(report, 'copy').read).toBe(0);
  await expectSame();
});
