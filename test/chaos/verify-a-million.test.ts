import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { hashComparison } from '../../packages/keystride/src/stores/postgres/hash-comparison.ts';
import { namedTables } from '../../packages/keystride/src/stores/postgres/sql.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { run, startVerification } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

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

const rows = 1_000_000;
const parameters = { source: 'item' };

const hash = (pool: pg.Pool) =>
  pool.query(`SELECT count(*), sum(('x' || left(md5(item::text), 15))::bit(60)::bigint) FROM item`);

/** How many rows of an answer leave a database while the two are compared, by all questions together. */
async function fetchedByComparing(): Promise<number> {
  let fetched = 0;
  const side = (pool: pg.Pool) => ({
    pool: {
      query: async (text: string, values: unknown[]) => {
        const answer = await pool.query(text, values);
        fetched += answer.rowCount ?? 0;
        return answer;
      },
    } as unknown as pg.Pool,
    query: namedTables.selectFrom('item').select(['item.id', 'item.name', 'item.price']),
    table: 'item',
    key: ['id'],
  });
  const comparison = hashComparison(side(stores.service), side(stores.migration));
  let position: unknown = null;
  do {
    ({ position } = await comparison.comparePage(position, 20_000, new AbortController().signal));
  } while (position !== null);
  return fetched;
}

test('7 missing, 5 altered and 3 extra rows among a million are named, and healed by the repair', async () => {
  for (const pool of [stores.service, stores.migration])
    await pool.query('CREATE TABLE item (id bigint PRIMARY KEY, name text, price numeric)');
  expect(await run(world, 'tableSync', parameters)).toMatchObject({ status: 'completed' });
  for (const pool of [stores.service, stores.migration])
    await pool.query(
      `INSERT INTO item SELECT n, 'item ' || n, n / 4.0 FROM generate_series(1, ${rows}) AS n`,
    );
  const missing = [1, 2, 77_777, 400_000, 400_003, 765_432, rows];
  const altered = [3, 500, 123_456, 654_321, 999_999];
  const extra = [0, -5, rows + 17];
  await stores.migration.query(`
    DELETE FROM item WHERE id IN (${missing.join()});
    UPDATE item SET price = price + 0.25 WHERE id IN (${altered.join()});
    INSERT INTO item VALUES ${extra.map((id) => `(${id})`).join()}`);
  // Of both databases: five in a hundred of two million would be 100,000.
  const fetched = await fetchedByComparing();
  console.log(`${fetched} rows of keys and hashes left the databases`);
  expect(fetched).toBeLessThan((2 * rows) / 20);
  const verified = async (repair: boolean) =>
    (await (
      await startVerification(world, { job: 'tableSync', parameters, repair })
    ).result()) as VerificationReport;
  const found = await verified(false);
  expect(found).toMatchObject({ verified: false, compared: rows, differences: 15 });
  expect(found.examples.toSorted()).toEqual(
    [
      ...missing.map((id) => `key ${id}: missing`),
      ...altered.map((id) => `key ${id}: different`),
      ...extra.map((id) => `key ${id}: extra`),
    ].toSorted(),
  );
  expect(await verified(true)).toMatchObject({ verified: true, differences: 0, repaired: 15 });
  const [source, sink] = await Promise.all([hash(stores.service), hash(stores.migration)]);
  expect(sink.rows).toEqual(source.rows);
});
