import { beforeEach, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { testConsole } from '../console/support.ts';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { accountTables, fillAccounts, writeAccounts } from '../support/account-writer.ts';
import { logSyncs } from '../support/log-syncs.ts';
import { control, reportOf, startVerification, until } from '../support/runs.ts';
import { plain, useShop } from '../support/shop.ts';
import { waitFor } from '../support/stack.ts';

/** Tables that are compared with their copies while they are followed in the log of their source. */

const shop = useShop({ ownServers: true });

const { empty, expectSame, onBoth, parametersOf, sync } = logSyncs(() => shop);

beforeEach(empty);

async function verify(parameters: object, repair = false): Promise<VerificationReport> {
  const handle = await startVerification(shop.world, { job: 'tableSync', parameters, repair });
  return (await handle.result()) as VerificationReport;
}

/** Waits until a stream is as its source was when it had been copied. */
const settled = () =>
  waitFor(
    async () => {
      const { rows } = await shop.stores.migration.query<{ settled: boolean | null }>(
        `SELECT (cursor::jsonb ->> 0)::pg_lsn >= (shape #>> '{log,settledAt}')::pg_lsn AS settled FROM keystride.stream_offset`,
      );
      return rows[0]?.settled === true;
    },
    { what: 'the stream to have settled' },
  );

/** A page of the console. */
async function pageOf(path: string): Promise<string> {
  // The room of the operator takes addresses from the environment of its process.
  Object.assign(process.env, shop.world.environment);
  const console = await testConsole(shop.world.environment);
  const { text } = await console.send(path);
  await console.stop();
  return text;
}

test('what the stream has not brought yet is no difference; what is one is told, and put right by the stream', async () => {
  await onBoth(accountTables);
  await fillAccounts(shop.stores.service);
  const parameters = parametersOf({ tables: ['shop.*'], poll: 'continuous' });
  const handle = await shop.world.start('tableSync', parameters);
  await settled();
  const stop = new AbortController();
  const writing = writeAccounts(shop.world.sourceDatabaseUrl, stop.signal);
  try {
    expect(await verify(parameters)).toMatchObject({ verified: true, differences: 0 });
    // Nobody writes these in the source: its writer takes every fiftieth and its neighbours.
    await shop.stores.migration.query(`UPDATE shop.account SET balance = balance + 1 WHERE id = 25;
      DELETE FROM shop.entry WHERE id = 26; INSERT INTO shop.entry VALUES (-1, 25, 0, '')`);
    const found = await verify(parameters);
    expect(found).toMatchObject({ verified: false, differences: 3, removable: 1 });
    expect(found.examples.toSorted()).toEqual([
      'shop.account key 25: different',
      'shop.entry key -1: extra',
      'shop.entry key 26: missing',
    ]);
    expect(await verify(parameters, true)).toMatchObject({ verified: true, differences: 0, repaired: 3 });
  } finally {
    stop.abort();
    await writing;
  }
  expect(await verify(parameters)).toMatchObject({ verified: true });
  await control(handle, 'stop');
  await reportOf(handle);
  await sync({ tables: ['shop.*'] });
  for (const table of ['shop.account', 'shop.entry']) await expectSame(table);
});

test('status and the page of the run tell where the stream stands, and what it has done to rows', async () => {
  await onBoth(plain);
  const handle = await shop.world.start('tableSync', parametersOf({ poll: 'continuous' }));
  await settled();
  await shop.stores.service.query(
    `INSERT INTO shop.k VALUES (1), (2); UPDATE shop.k SET note = 'x' WHERE id = 1`,
  );
  await shop.stores.service.query('TRUNCATE shop.k; INSERT INTO shop.k VALUES (3); DELETE FROM shop.k');
  const status = async (...options: string[]) =>
    keystride(['status', handle.workflowId, ...options], shop.world.environment);
  const rows = { inserted: 3, updated: 1, deleted: 1, truncated: 1 };
  const place = {
    cursor: [expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/)],
    lag: { bytesBehind: expect.any(Number) as number },
  };
  await waitFor(
    async () =>
      ((await status('-o', 'json')).json() as { stream?: { rows?: { deleted?: number } } }).stream?.rows
        ?.deleted === 1,
    { what: 'the rows' },
  );
  expect((await status('-o', 'json')).json()).toMatchObject({ stream: { rows, ...place } });
  const told =
    /at [0-9A-F]+\/[0-9A-F]+; \d+ kB of log behind; moved .* ago; the source keeps .*; since the copy 3 inserted, 1 updated, 1 deleted, 1 truncated/;
  expect((await status()).stdout).toMatch(told);
  expect(await pageOf(`/runs/${encodeURIComponent(handle.workflowId)}`)).toMatch(told);
  await control(handle, 'stop');
  await reportOf(handle);
});

test('a pause says what the source keeps meanwhile; a difference then, that it may not have been brought', async () => {
  await onBoth(plain);
  const parameters = parametersOf({ poll: 'continuous' });
  const handle = await shop.world.start('tableSync', parameters);
  await settled();
  const keeps =
    /the source keeps its log while the run is at rest: the source keeps \d+ MB of log for it, without a limit/;
  expect(await pageOf(`/runs/${encodeURIComponent(handle.workflowId)}/pause`)).toMatch(keeps);
  const paused = await keystride(['pause', handle.workflowId, '-o', 'json'], shop.world.environment);
  expect(paused.json()).toMatchObject({ warning: expect.stringMatching(keeps) as string });
  await until(shop.world, handle.workflowId, 'paused');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'later')`);
  const { examples } = await verify(parameters);
  expect(examples).toEqual([
    expect.stringMatching(/^key 1: missing; its stream has stood still at [0-9A-F]+\/[0-9A-F]+ for 30 s/),
  ]);
  await control(handle, 'stop');
  await reportOf(handle);
});

test('where no run goes on, a repair hands what differs to the next one', async () => {
  await onBoth(plain);
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (1, 'one'), (2, 'two')`);
  const parameters = parametersOf({});
  await sync(parameters);
  await shop.stores.migration.query(
    `UPDATE shop.k SET note = 'damaged' WHERE id = 1; INSERT INTO shop.k VALUES (3)`,
  );
  expect((await verify(parameters)).examples).toEqual(['key 1: different', 'key 3: extra']);
  expect((await verify(parameters, true)).examples).toEqual(['key 1: different', 'key 3: extra']);
  await sync();
  await expectSame();
});
