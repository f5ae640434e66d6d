import { randomUUID } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { run } from '../support/runs.ts';
import { emptyShop, plain, readBy, rowsOf, toldBy, useShop } from '../support/shop.ts';

/** A source, or what is remembered of it, that is another one than the run before has seen. */

const shop = useShop({ ownServers: true });

beforeEach(() => emptyShop(shop.stores));

let runs = 0;
const sync = () =>
  run(shop.world, 'tableSync', { source: 'shop.k', mode: 'incrementing', partitions: 1, run: (runs += 1) });

const filled = `INSERT INTO shop.k SELECT n, 'new' FROM generate_series(1001, 1100) AS n`;

test('a stream that an older release remembered goes on, and says what cannot be known', async () => {
  await shop.stores.service.query(`${plain}; ${filled}`);
  await shop.stores.migration.query(plain);
  await sync();
  await shop.stores.migration.query('UPDATE keystride.stream_offset SET shape = NULL');
  await shop.stores.service.query(`INSERT INTO shop.k VALUES (2000, 'next')`);
  const report = await sync();
  expect(readBy(report)).toEqual([1, 0]);
  expect(toldBy(report)).toEqual([expect.stringMatching(/is not known.*rewind the stream to its start/u)]);
  expect(toldBy(await sync())).toEqual([]);
});

test.for([
  [
    'has less than it had',
    `moment || '{"written": "999999999999999"}'`,
    [100, 0],
    /set back to an earlier state/u,
  ],
  [
    'has written more since',
    `jsonb_set(moment, '{committed,at}', '"2020-01-01 00:00:00+00"')`,
    [100, 0],
    /set back to an earlier state/u,
  ],
  [
    'was started since, and cannot tell',
    `moment || '{"committed": null, "started": "2020-01-01 00:00:00+00"}'`,
    [0, 0],
    /rewind the stream to its start/u,
  ],
] as const)('a source that was set back: it %s', async ([, remembered, reads, told]) => {
  await shop.stores.service.query(`${plain}; ${filled}`);
  await shop.stores.migration.query(plain);
  await sync();
  await shop.stores.migration.query(
    `UPDATE keystride.stream_offset SET shape = jsonb_set(shape, '{source,moment}',
       (SELECT ${remembered} FROM (SELECT shape #> '{source,moment}') AS it (moment)))`,
  );
  const report = await sync();
  expect(readBy(report)).toEqual(reads);
  expect(toldBy(report)).toEqual([expect.stringMatching(told)]);
});

test('rows that a changed policy lets the role see are copied', async () => {
  const role = `reader_${randomUUID().replaceAll('-', '')}`;
  await shop.stores.service.query(`${plain}; ${filled};
    CREATE ROLE ${role} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA shop TO ${role}; GRANT SELECT ON shop.k TO ${role};
    ALTER TABLE shop.k ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON shop.k USING (id > 1050)`);
  await shop.stores.migration.query(plain);
  const url = new URL(shop.world.sourceDatabaseUrl);
  url.username = role;
  url.password = 'reader';
  const [privileged] = shop.world.workers;
  await privileged?.stop();
  const limited = await shop.world.startWorker({ environment: { SOURCE_DATABASE_URL: url.href } });
  try {
    const first = await sync();
    expect(readBy(first)).toEqual([50, 0]);
    expect(toldBy(first)).toEqual([expect.stringMatching(/row security decides/u)]);
    await shop.stores.service.query('ALTER POLICY few ON shop.k USING (id > 1020)');
    const second = await sync();
    expect(readBy(second)).toEqual([80, 0]);
    expect(toldBy(second)[0]).toMatch(/lets the role see other rows/u);
    await shop.stores.service.query('ALTER TABLE shop.k DISABLE ROW LEVEL SECURITY');
    await sync();
    expect(await rowsOf(shop.stores.migration)).toEqual(await rowsOf(shop.stores.service));
  } finally {
    await limited.stop();
    await shop.world.startWorker();
    await shop.stores.service.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
