import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { accountTables, fillAccounts, writeAccounts } from '../support/account-writer.ts';
import { logSyncs } from '../support/log-syncs.ts';
import type { Stores } from '../support/migration.ts';
import { control, reportOf, startVerification, until } from '../support/runs.ts';
import { closeShop, openShop, plain } from '../support/shop.ts';
import { waitFor, type World } from '../support/stack.ts';

/** Tables that are compared with their copies while they are followed in the log of their source. */

let world: World;
let stores: Stores;

beforeAll(async () => {
  ({ world, stores } = await openShop({ ownServers: true }));
});

afterAll(() => closeShop({ world, stores }));

const { empty, expectSame, onBoth, parametersOf, sync } = logSyncs(() => ({ world, stores }));

beforeEach(empty);

async function verify(parameters: object, repair = false): Promise<VerificationReport> {
  const handle = await startVerification(world, { job: 'tableSync', parameters, repair });
  return (await handle.result()) as VerificationReport;
}

/** Waits until a stream is as its source was when it had been copied. */
const settled = () =>
  waitFor(
    async () => {
      const { rows } = await stores.migration.query<{ settled: boolean | null }>(
        `SELECT (cursor::jsonb ->> 0)::pg_lsn >= (shape #>> '{log,settledAt}')::pg_lsn AS settled FROM keystride.stream_offset`,
      );
      return rows[0]?.settled === true;
    },
    { what: 'the stream to have settled' },
  );

test('what the stream has not brought yet is no difference; what is one is told, and put right by the stream', async () => {
  await onBoth(accountTables);
  await fillAccounts(stores.service);
  const parameters = parametersOf({ tables: ['shop.*'], poll: 'continuous' });
  const handle = await world.start('tableSync', parameters);
  await settled();
  const stop = new AbortController();
  const writing = writeAccounts(world.sourceDatabaseUrl, stop.signal);
  try {
    expect(await verify(parameters)).toMatchObject({ verified: true, differences: 0 });
    // Nobody writes these in the source: its writer takes every fiftieth and its neighbours.
    await stores.migration.query(`UPDATE shop.account SET balance = balance + 1 WHERE id = 25;
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

test('where the stream stands still, a difference says that it may not have been brought', async () => {
  await onBoth(plain);
  const parameters = parametersOf({ poll: 'continuous' });
  const handle = await world.start('tableSync', parameters);
  await settled();
  await control(handle, 'pause', 'a look');
  await until(world, handle.workflowId, 'paused');
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'later')`);
  const { examples } = await verify(parameters);
  expect(examples).toEqual([
    expect.stringMatching(/^key 1: missing; its stream has stood still at [0-9A-F]+\/[0-9A-F]+ for 30 s/),
  ]);
  await control(handle, 'stop');
  await reportOf(handle);
});

test('where no run goes on, a repair hands what differs to the next one', async () => {
  await onBoth(plain);
  await stores.service.query(`INSERT INTO shop.k VALUES (1, 'one'), (2, 'two')`);
  const parameters = parametersOf({});
  await sync(parameters);
  await stores.migration.query(
    `UPDATE shop.k SET note = 'damaged' WHERE id = 1; INSERT INTO shop.k VALUES (3)`,
  );
  expect((await verify(parameters)).examples).toEqual(['key 1: different', 'key 3: extra']);
  expect((await verify(parameters, true)).examples).toEqual(['key 1: different', 'key 3: extra']);
  await sync();
  await expectSame();
});
