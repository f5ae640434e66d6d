import pg from 'pg';
import { beforeEach, expect, test } from 'vitest';
import { asIfCopiedLater, logSyncs } from '../support/log-syncs.ts';
import { seededRandom } from '../support/random.ts';
import { stepOf } from '../support/runs.ts';
import { rowsOf, useShop } from '../support/shop.ts';

/** Whatever transactions do to three tables: a sink that follows their log has what they have. */

const shop = useShop({ ownServers: true });

const { empty, sync } = logSyncs(() => shop);

beforeEach(empty);

/** `KEYSTRIDE_RUNS` does more. */
const rounds = Number(process.env['KEYSTRIDE_RUNS']) || 5;
const tables = ['shop.a', 'shop.b', 'shop.c'];

/** `a` and `b` refer to each other; a key of `c` can be written in many ways, and its large values are left out of the log. */
const made = (action: string) => `
  CREATE TABLE shop.a (id int PRIMARY KEY, code int UNIQUE, b int);
  CREATE TABLE shop.b (id int PRIMARY KEY, code int UNIQUE, a int REFERENCES shop.a ${action});
  ALTER TABLE shop.a ADD FOREIGN KEY (b) REFERENCES shop.b ${action};
  CREATE TABLE shop.c (key numeric PRIMARY KEY, code int UNIQUE, a int REFERENCES shop.a ${action}, large text);
  ALTER TABLE shop.c ALTER large SET STORAGE EXTERNAL`;

const { between } = seededRandom('transactions over three tables');
const whole = (least: number, most: number) => Math.floor(between(least, most + 1));
const one = <Item>(items: readonly Item[]) => items[whole(0, items.length - 1)] as Item;

/** Keys and codes are few, so that they meet. */
const id = () => whole(1, 30);
const key = () => `${whole(1, 30)}.${'0'.repeat(whole(1, 3))}`;

/** One statement; the source may refuse it. */
function statement(): string {
  const table = one(['a', 'b']);
  const other = table === 'a' ? 'b' : 'a';
  return one([
    () => `INSERT INTO shop.${table} VALUES (${id()}, ${id()}, NULL)`,
    () => `INSERT INTO shop.${table} SELECT ${id()}, NULL, id FROM shop.${other} WHERE id >= ${id()} LIMIT 1`,
    () => `UPDATE shop.${table} SET ${other} = ${id()} WHERE id > ${id()}`,
    () => `UPDATE shop.${table} SET id = ${id()} WHERE id = ${id()}`,
    () => `UPDATE shop.${table} SET code = ${id()} WHERE id = ${id()}`,
    () => `UPDATE shop.${table} SET code = NULL WHERE id < ${id()}`,
    () => `UPDATE shop.${table} SET code = id WHERE code IS NULL`,
    () => `UPDATE shop.${table} SET id = -id, code = -code WHERE id BETWEEN ${id()} AND 20`,
    () => `DELETE FROM shop.${table} WHERE id = ${id()}`,
    () => `DELETE FROM shop.${table} WHERE id < ${id()} AND code > ${id()}`,
    () => `INSERT INTO shop.c VALUES (${key()}, ${id()}, NULL, repeat('x', ${one([1, 5_000])}))`,
    () => `INSERT INTO shop.c SELECT ${key()}, NULL, id FROM shop.a WHERE id >= ${id()} LIMIT 1`,
    () => `UPDATE shop.c SET key = ${key()} WHERE key = ${id()}`,
    () => `UPDATE shop.c SET key = key::text || '0', a = NULL WHERE key < ${id()}`,
    () => `UPDATE shop.c SET key = trim_scale(key) + 0.0, code = NULL`,
    () => `UPDATE shop.c SET code = ${id()} WHERE key = ${id()}`,
    () => `UPDATE shop.c SET large = repeat('y', 3000) WHERE key > ${id()}`,
    () => `DELETE FROM shop.c WHERE key > ${id()} AND a IS NULL`,
    () => `DELETE FROM shop.c WHERE key = ${id()}`,
    () => one(['TRUNCATE shop.c', 'TRUNCATE shop.a, shop.b, shop.c', 'SELECT', 'SELECT', 'SELECT']),
  ])();
}

/** More changes than are taken together, and sometimes more than are held. */
function many(): string {
  const rows = `generate_series(1000, ${one([3_500, 6_000])}) AS n`;
  return one([
    () =>
      `INSERT INTO shop.c SELECT n, n, NULL, repeat('z', ${one([10, 600])}) FROM ${rows} ON CONFLICT DO NOTHING`,
    () => `INSERT INTO shop.a SELECT n, n FROM ${rows} ON CONFLICT DO NOTHING;
      INSERT INTO shop.b SELECT n, n, n FROM shop.a JOIN ${rows} ON n = id ON CONFLICT DO NOTHING;
      UPDATE shop.a SET b = id WHERE id >= 1000`,
    () => `UPDATE shop.c SET key = key::text || '0' WHERE key >= 1000`,
    () => 'DELETE FROM shop.a WHERE id >= 1000',
    () => 'DELETE FROM shop.b WHERE id >= 1000',
    () => 'DELETE FROM shop.c WHERE key >= 1000',
  ])();
}

async function transaction(client: pg.Client): Promise<void> {
  await client.query('BEGIN');
  for (let left = whole(1, 12); left > 0; left--) {
    await client.query('SAVEPOINT one');
    const text = whole(1, 25) === 1 ? many() : statement();
    await client.query(text).catch(() => client.query('ROLLBACK TO one'));
    await client.query('RELEASE one');
  }
  await client.query(whole(1, 10) === 1 ? 'ROLLBACK' : 'COMMIT');
}

test('a sink has what its source has after each of many transactions', { timeout: 240_000 }, async () => {
  await shop.stores.service.query(
    made('ON DELETE ' + one(['SET NULL', 'CASCADE']) + ' ON UPDATE CASCADE DEFERRABLE'),
  );
  await shop.stores.migration.query(made(''));
  await sync({ tables });
  const client = new pg.Client({ connectionString: shop.world.sourceDatabaseUrl });
  await client.connect();
  try {
    for (let round = 1; round <= rounds; round++) {
      for (let left = whole(5, 30); left > 0; left--) await transaction(client);
      if (whole(1, 4) === 1) await asIfCopiedLater(shop.stores);
      const report = await sync({ tables });
      for (const table of tables)
        expect(await rowsOf(shop.stores.migration, table), `${table} in round ${round}`).toEqual(
          await rowsOf(shop.stores.service, table),
        );
      expect([report.status, stepOf(report, 'copy').read], `round ${round}`).toEqual(['completed', 0]);
    }
  } finally {
    await client.end();
  }
});
