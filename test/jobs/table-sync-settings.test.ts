import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { arbitraryValues, quoted } from '../support/arbitrary-values.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { setOtherwise } from '../support/odd-settings.ts';
import { run, startVerification, stepOf } from '../support/runs.ts';
import { closeShop, emptyShop, onBothSides } from '../support/shop.ts';
import { createWorld, type World } from '../support/stack.ts';
import { TransactionPooler } from '../support/transaction-pooler.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld();
  // Before anybody has connected: both databases write values otherwise than we do, and than each other.
  await setOtherwise(world.sourceDatabaseUrl, 0);
  await setOtherwise(world.databaseUrl, 1);
  stores = openStores(world);
  await world.startWorker();
});

afterAll(() => closeShop({ world, stores }));

beforeEach(() => emptyShop(stores));

const onBoth = (statement: string) => onBothSides(stores, statement);

let runs = 0;
const sync = (parameters: object) => run(world, 'tableSync', { run: (runs += 1), ...parameters });

const texts = arbitraryValues['text'] ?? fc.constant('');
const moments = arbitraryValues['timestamptz'] ?? fc.constant('infinity');

/** Types of one's own, the same in both databases. */
const own: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'shop.mood': fc.constantFrom('happy', 'a "quoted" one', 'NULL'),
  'shop.day': moments,
  'shop.place': fc
    .tuple(texts, moments)
    .map(([street, at]) => `(${quoted(street)},${quoted(at)},"{1.50,NULL}")`),
};

const ownTypes = `
  CREATE TYPE shop.mood AS ENUM ('happy', 'a "quoted" one', 'NULL');
  CREATE DOMAIN shop.day AS timestamptz;
  CREATE TYPE shop.place AS (street text, at shop.day, amounts numeric[])`;

const types = Object.entries({ ...arbitraryValues, ...own });

/** Every value as the bytes that its type sends, which no setting changes. */
async function bytesOf(pool: pg.Pool): Promise<unknown[]> {
  const { rows: sent } = await pool.query<{ column: string; send: string }>(
    `SELECT attname AS column, typsend::text AS send
       FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
      WHERE attrelid = 'shop.everything'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  const values = sent.map(({ column, send }) =>
    send === 'record_send' || send === '-'
      ? `${column}::text`
      : `encode(${send}(${column}), 'hex') AS ${column}`,
  );
  return (await pool.query(`SELECT ${values.join(', ')} FROM shop.everything ORDER BY id`)).rows;
}

test('every value of every type arrives to the bit, and is found equal, whatever both databases have set', async () => {
  const row = fc.tuple(...types.map(([, values]) => fc.option(values, { freq: 9 })));
  await onBoth(`${ownTypes}; CREATE TABLE shop.everything (id int PRIMARY KEY,
    ${types.map(([type], index) => `c${index} ${type}`).join(', ')})`);
  const insert = `INSERT INTO shop.everything
    SELECT $1, ${types.map(([type], index) => `$${index + 2}::text::${type}`).join(', ')}`;
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 40, maxLength: 40 }), async (rows) => {
      await onBoth('TRUNCATE shop.everything');
      for (const [id, values] of rows.entries()) await stores.service.query(insert, [id, ...values]);
      const parameters = { run: (runs += 1), source: 'shop.everything' };
      const report = await run(world, 'tableSync', parameters);
      expect(stepOf(report, 'copy')).toMatchObject({ read: rows.length, written: rows.length });
      expect(await bytesOf(stores.migration)).toEqual(await bytesOf(stores.service));
      const verification = await startVerification(world, { job: 'tableSync', parameters });
      expect(await verification.result()).toMatchObject({
        compared: rows.length,
        differences: 0,
        examples: [],
      });
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

test('a sync through poolers that share their sessions copies the same', async () => {
  const poolers = await Promise.all(
    [world.databaseUrl, world.sourceDatabaseUrl].map((url) => TransactionPooler.start(url, 6)),
  );
  const [target, source] = poolers;
  await onBoth(
    'CREATE TABLE shop.item (id bigint PRIMARY KEY, at timestamptz, span interval, bytes bytea, sum float8)',
  );
  const insert = (from: number) =>
    stores.service.query(
      `INSERT INTO shop.item SELECT n, timestamptz '2025-03-04 05:06:07Z' + n * interval '7 hours',
              n * interval '-1 hour 1 day', decode(md5(n::text), 'hex'), n / 3.0 FROM generate_series($1::int, $1 + 2999) AS n`,
      [from],
    );
  await insert(1);
  for (const worker of world.workers) await worker.stop();
  const worker = await world.startWorker({
    environment: {
      DATABASE_URL: target?.urlOf(world.databaseUrl) ?? '',
      SOURCE_DATABASE_URL: source?.urlOf(world.sourceDatabaseUrl) ?? '',
    },
  });
  try {
    const parameters = { source: 'shop.item', mode: 'incrementing' };
    expect(stepOf(await sync(parameters), 'copy')).toMatchObject({ read: 3000, written: 3000 });
    await insert(3001);
    expect(stepOf(await sync(parameters), 'copy')).toMatchObject({ read: 3000, written: 3000 });
    const all = 'SELECT * FROM shop.item ORDER BY id';
    expect((await stores.migration.query(all)).rows).toEqual((await stores.service.query(all)).rows);
  } finally {
    await worker.stop();
    for (const pooler of poolers) await pooler.stop();
    await world.startWorker();
  }
});

/** Types that a key may be of, and so a cursor. */
const keys = [
  ...[
    'numeric',
    'float4',
    'float8',
    'money',
    'date',
    'timetz',
    'timestamp',
    'timestamptz',
    'interval',
    'text',
    'bytea',
  ],
  ...['jsonb', 'tstzrange', 'timestamptz[]', 'interval[]', 'shop.day', 'shop.mood'],
] as const;

test.for(keys)('a cursor of %s goes on where it was', async (type) => {
  await onBoth(`${ownTypes}; CREATE TABLE shop.keyed (code ${type} PRIMARY KEY, note text)`);
  const all = types.find(([name]) => name === type)?.[1] ?? fc.constant('');
  const insert = async (values: readonly string[]) => {
    for (const value of values)
      await stores.service.query(
        `INSERT INTO shop.keyed VALUES ($1::text::${type}, 'n') ON CONFLICT DO NOTHING`,
        [value],
      );
    const { rows } = await stores.service.query<{ rows: number }>(
      'SELECT count(*)::int AS rows FROM shop.keyed',
    );
    return rows[0]?.rows ?? 0;
  };
  const look = (pool: pg.Pool) => pool.query('SELECT code::text FROM shop.keyed ORDER BY code');
  const values = fc.sample(all, 120);
  const first = await insert(values.slice(0, 60));
  const parameters = { source: 'shop.keyed', mode: 'incrementing', partitions: 3 };
  expect(stepOf(await sync(parameters), 'copy')).toMatchObject({ read: first, written: first });
  const total = await insert(values.slice(60));
  const second = await sync({ ...parameters, partitions: 1 });
  const sweep = second.steps.find(({ step }) => step === 'sweep');
  // A transaction of another test, open meanwhile, has the sweep look at rows once more.
  expect(stepOf(second, 'copy').read + (sweep?.read ?? 0)).toBeGreaterThanOrEqual(total - first);
  expect((await look(stores.migration)).rows).toEqual((await look(stores.service)).rows);
});

test('the mode of a timestamp misses nothing where both databases write times otherwise', async () => {
  await onBoth(`CREATE TABLE shop.item (id int PRIMARY KEY, changed timestamptz NOT NULL, local timestamp NOT NULL);
    CREATE INDEX ON shop.item (changed, id)`);
  const moment = (at: number) =>
    stores.service.query(
      `INSERT INTO shop.item SELECT n, timestamptz '2025-03-04 05:06:07.000001+00' + n * interval '7 hours',
              timestamp '2025-03-04 05:06:07' + n * interval '7 hours' FROM generate_series($1::int, $1 + 499) AS n`,
      [at],
    );
  const parameters = { source: 'shop.item', mode: 'timestamp', timestamp: 'changed' };
  await moment(1);
  expect(stepOf(await sync(parameters), 'copy').written).toBe(500);
  await moment(501);
  expect(stepOf(await sync(parameters), 'copy')).toMatchObject({ read: 500, written: 500 });
  const all = 'SELECT * FROM shop.item ORDER BY id';
  expect((await stores.migration.query(all)).rows).toEqual((await stores.service.query(all)).rows);
});
