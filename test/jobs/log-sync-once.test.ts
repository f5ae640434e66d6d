import { beforeEach, expect, test } from 'vitest';
import { logSyncs } from '../support/log-syncs.ts';
import { control, reportOf, stepOf } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

/** What the log tells is applied once, whole, and confirmed to the source when it is. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, onBoth, parametersOf, sync } = logSyncs(() => shop);

beforeEach(empty);

/** A run that goes on, and has applied one row. */
async function followed() {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  const copied = `(SELECT FROM keystride.stream_offset WHERE shape #>> '{log,copied}' = 'true')`;
  await waitFor(async () => (await rowsOf(shop.stores.migration, copied)).length > 0, { what: 'the copy' });
  await write(1);
  await arrived(1);
  return handle;
}

const write = (id: number) => shop.stores.service.query(`INSERT INTO shop.k VALUES (${id}, 'source')`);

const arrived = (id: number) =>
  waitFor(
    async () => (await rowsOf(shop.stores.migration, '(SELECT id FROM shop.k)')).includes(`{"id": ${id}}`),
    {
      what: `row ${id}`,
    },
  );

/** Does something while a batch waits to move the position, in the transaction that it waits for. */
async function whileHeld(work: (statement: (text: string) => Promise<unknown>) => Promise<unknown>) {
  const client = await shop.stores.migration.connect();
  try {
    await client.query('BEGIN; SELECT FROM keystride.stream_offset FOR UPDATE');
    await write(2);
    await waitFor(
      async () =>
        (await rowsOf(shop.stores.migration, `(SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')`))
          .length > 0,
      { what: 'the batch to wait' },
    );
    await work((text) => client.query(text));
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

test('a batch that another run has applied is not applied again', async () => {
  const handle = await followed();
  await whileHeld(async (statement) => {
    const { rows: now } = await shop.stores.service.query<{ at: string }>(
      'SELECT pg_current_wal_lsn()::text AS at',
    );
    await statement(`INSERT INTO shop.k VALUES (2, 'another run')`);
    await statement(`UPDATE keystride.stream_offset SET cursor = '${JSON.stringify([now[0]?.at])}'`);
  });
  await write(3);
  await arrived(3);
  await control(handle, 'stop');
  await reportOf(handle);
  expect(await rowsOf(shop.stores.migration, `(SELECT id FROM shop.k WHERE note = 'source')`)).toEqual([
    '{"id": 1}',
    '{"id": 3}',
  ]);
});

test('the source is told of what has committed in the sink alone', async () => {
  const handle = await followed();
  const seen: string[] = [];
  await whileHeld(async () => {
    const { rows } = await shop.stores.service.query<{ at: string }>('SELECT clock_timestamp()::text AS at');
    const answered = `(SELECT FROM pg_stat_replication WHERE reply_time > '${rows[0]?.at}')`;
    await waitFor(async () => (await rowsOf(shop.stores.service, answered)).length > 0, {
      what: 'an answer',
    });
    const { rows: offsets } = await shop.stores.migration.query<{ at: string }>(
      `SELECT cursor::jsonb ->> 0 AS at FROM keystride.stream_offset`,
    );
    const beyond = `(SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn > '${offsets[0]?.at}'::pg_lsn + 1)`;
    seen.push(...(await rowsOf(shop.stores.service, beyond)));
  });
  expect(seen).toEqual([]);
  await arrived(2);
  await control(handle, 'stop');
  await reportOf(handle);
});

test('a transaction that is read while it is applied, and is refused in its midst, is applied whole', async () => {
  await onBoth('CREATE TABLE shop.k (id int PRIMARY KEY, note text)');
  await sync();
  // What a transaction that is rolled back has taken from a sequence stays taken: it is refused once.
  await shop.stores.migration.query(`CREATE SEQUENCE shop.rows;
    CREATE FUNCTION shop.refuse_once() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF nextval('shop.rows') = 20000 THEN RAISE 'for once' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER refuse_once AFTER INSERT ON shop.k FOR EACH ROW EXECUTE FUNCTION shop.refuse_once()`);
  await shop.stores.service.query(
    `INSERT INTO shop.k SELECT n, repeat('x', 200) FROM generate_series(1, 40000) AS n`,
  );
  expect(stepOf(await sync(), 'follow')).toMatchObject({ read: 40_000, written: 40_000 });
  await expectSame();
});
