import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  accountTables,
  fillAccounts,
  hashesOf,
  wrongBalances,
  writeAccounts,
} from '../support/account-writer.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { seededRandom } from '../support/random.ts';
import { control, reportOf } from '../support/runs.ts';
import { emptyShop } from '../support/shop.ts';
import { createWorld, waitFor, type TestWorker, type World } from '../support/stack.ts';

/** Two tables that are followed in the log of their source, while what lies between them is cut. */

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ ownServers: true });
  stores = openStores(world);
  for (const pool of [stores.service, stores.migration]) pool.on('error', () => undefined);
  await emptyShop(stores);
  for (const pool of [stores.service, stores.migration]) await pool.query(accountTables);
  await fillAccounts(stores.service);
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

/** Whether the sink is as the source was at one commit, and what tells that it is not: of one snapshot. */
const looked = `
  SELECT (cursor::jsonb ->> 0)::pg_lsn >= (shape #>> '{log,settledAt}')::pg_lsn
           AND NOT EXISTS (SELECT FROM keystride.unsettled_row) AS settled,
         (SELECT count(*)::int FROM (${wrongBalances}) AS wrong) AS wrong
    FROM keystride.stream_offset`;

interface Seen {
  looks: number;
  halves: number;
}

/** Looks at the sink until it is told to end. */
async function watch(connectionString: string, signal: AbortSignal): Promise<Seen> {
  const seen = { looks: 0, halves: 0 };
  while (!signal.aborted) {
    const client = new pg.Client({ connectionString });
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!signal.aborted) {
        const { rows } = await client.query<{ settled: boolean | null; wrong: number }>(looked);
        if (rows[0]?.settled === true) {
          seen.looks += 1;
          seen.halves += rows[0].wrong;
        }
        await delay(20);
      }
    } catch {
      // Cut as everybody else; the next connection looks on.
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return seen;
}

/** Ends all other connections to a database, those that read its log too. */
const cut = (pool: pg.Pool) =>
  pool
    .query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()`,
    )
    .catch(() => undefined);

test('workers that are killed and connections that are cut: the copy is the source, and nobody saw half of a transaction', async () => {
  const worker = await world.startWorker();
  const stop = new AbortController();
  const writing = writeAccounts(world.sourceDatabaseUrl, stop.signal);
  const watching = watch(world.databaseUrl, stop.signal);
  const handle = await world.start('tableSync', {
    ...{ tables: ['shop.account', 'shop.entry'], mode: 'log', poll: 'continuous' },
  });
  await disturb(worker).finally(() => stop.abort());
  const [written, seen] = [await writing, await watching];
  console.log(
    `${written.committed} transactions, ${written.rolledBack} rolled back; ${seen.looks} looks at what had settled`,
  );
  await waitFor(
    async () =>
      JSON.stringify(await hashesOf(stores.migration)) === JSON.stringify(await hashesOf(stores.service)),
    { what: 'the last transaction', timeoutMs: 60_000 },
  ).catch(() => undefined);
  expect(await hashesOf(stores.migration)).toEqual(await hashesOf(stores.service));
  expect(seen).toMatchObject({ halves: 0 });
  expect(seen.looks).toBeGreaterThan(0);
  await control(handle, 'stop');
  expect((await reportOf(handle)).status).toBe('stopped');
});

/** Ends each of the parts a few times at random moments: first while tables are copied, then while they are followed. */
async function disturb(worker: TestWorker): Promise<void> {
  const { between } = seededRandom('parts that are ended');
  const endings = [
    () => cut(stores.service),
    () => cut(stores.migration),
    () => worker.kill('SIGKILL').then(() => worker.restart()),
  ];
  for (let round = 0; round < 2; round++) {
    for (const end of endings) {
      await delay(between(500, 2_500));
      await end();
    }
    await settled();
  }
}

/** Waits until what the sink has is of one moment. */
async function settled(): Promise<void> {
  await waitFor(
    async () => (await stores.migration.query<{ settled: boolean | null }>(looked)).rows[0]?.settled === true,
    { what: 'the stream to have settled', timeoutMs: 60_000 },
  );
}
