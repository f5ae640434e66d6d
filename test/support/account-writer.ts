import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Random, seededRandom } from './random.ts';

/** Accounts and their entries; `large` is kept beside the row, so that the log leaves it out where it does not change. */
export const accountTables = `
  CREATE TABLE shop.account (id bigint PRIMARY KEY, balance bigint NOT NULL, large text NOT NULL);
  CREATE TABLE shop.entry (id bigint PRIMARY KEY, account bigint NOT NULL, amount bigint NOT NULL, large text NOT NULL,
    FOREIGN KEY (account) REFERENCES shop.account DEFERRABLE INITIALLY DEFERRED);
  ALTER TABLE shop.account ALTER large SET STORAGE EXTERNAL;
  ALTER TABLE shop.entry ALTER large SET STORAGE EXTERNAL`;

/** Accounts whose balance is not the sum of their entries: none at any commit. */
export const wrongBalances = `
  SELECT account.id, balance FROM shop.account LEFT JOIN shop.entry ON account = account.id
   GROUP BY account.id HAVING balance <> coalesce(sum(amount), 0)`;

/** Ids that are written again and again, spread over all that is copied. */
const busy = 60;
const apart = 50;

/** Fills the tables. */
export async function fillAccounts(pool: pg.Pool): Promise<void> {
  await pool.query(`
    INSERT INTO shop.account SELECT n, n, repeat(md5(n || 'a'), 80) FROM generate_series(1, ${busy * apart}) AS n;
    INSERT INTO shop.entry SELECT n, n, n, repeat(md5(n || 'e'), 80) FROM generate_series(1, ${busy * apart}) AS n`);
}

/** One hash for all rows of each table. */
export async function hashesOf(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ hash: string }>(
    ['account', 'entry']
      .map(
        (table) =>
          `SELECT '${table} ' || count(*) || ' ' || md5(string_agg(each::text, ',' ORDER BY id)) AS hash FROM shop.${table} AS each`,
      )
      .join(' UNION ALL '),
  );
  return rows.map(({ hash }) => hash);
}

/** What was written. */
export interface Written {
  committed: number;
  rolledBack: number;
}

/**
 * Writes until it is told to end: inserts, updates, deletes, keys that change and are taken again by other rows, large values
 * that stay and that change, savepoints and whole transactions that are rolled back, and now and then a transaction of
 * more rows than are taken together. Connections that are cut are opened again.
 */
export async function writeAccounts(connectionString: string, signal: AbortSignal): Promise<Written> {
  const written = { committed: 0, rolledBack: 0 };
  const random = seededRandom('accounts that are written');
  const write = async () => {
    while (!signal.aborted) {
      const client = new pg.Client({ connectionString });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!signal.aborted) {
          const isKept = await client.query(transaction(random)).then(
            (results) => (results as unknown as pg.QueryResult[]).at(-1)?.command === 'COMMIT',
            async (error: unknown) => {
              if (!isOfRows(error)) throw error;
              await client.query('ROLLBACK');
              return false;
            },
          );
          written[isKept ? 'committed' : 'rolledBack'] += 1;
          await delay(random.between(0, 10));
        }
      } catch (error) {
        if (!isCut(error)) throw error;
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  await Promise.all([write(), write(), write()]);
  return written;
}

/** A key that is there already, a reference to what is not, a deadlock. */
function isOfRows(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ['23505', '23503', '40P01'].includes(error.code ?? '');
}

function isCut(error: unknown): boolean {
  return error instanceof Error && /terminat|ECONNRESET|not queryable/iu.test(error.message);
}

function transaction({ between }: Random): string {
  const number = (most: number) => Math.floor(between(0, most));
  const id = () => (number(busy) + 1) * apart;
  const [a, b] = [id(), id()];
  const [e, f] = [id() + number(3), id() + number(3)];
  const large = `repeat(md5(random()::text), ${70 + number(30)})`;
  const insertEntry = (many = 1) =>
    `INSERT INTO shop.entry SELECT ${e} + n, ${a}, ${number(100)}, ${large} FROM generate_series(0, ${many - 1}) AS n
      WHERE EXISTS (SELECT FROM shop.account WHERE id = ${a}) ON CONFLICT DO NOTHING`;
  const kinds = [
    insertEntry(),
    `UPDATE shop.entry SET account = ${b} WHERE id = (SELECT min(id) FROM shop.entry WHERE account = ${a})`,
    `UPDATE shop.entry SET amount = amount + 1 WHERE account = ${a}`,
    `DELETE FROM shop.entry WHERE account = ${a}`,
    `DELETE FROM shop.entry WHERE account = ${a}; DELETE FROM shop.account WHERE id = ${a}`,
    `INSERT INTO shop.account VALUES (${a}, 0, ${large}) ON CONFLICT DO NOTHING`,
    `UPDATE shop.account SET id = ${b} WHERE id = ${a}; UPDATE shop.entry SET account = ${b} WHERE account = ${a}`,
    `UPDATE shop.account SET large = ${large} WHERE id = ${a}`,
    `UPDATE shop.entry SET id = ${f} WHERE id = ${e}`,
    `UPDATE shop.entry SET id = ${f} WHERE id = ${e}; ${insertEntry()}`,
    `DELETE FROM shop.entry WHERE id = ${f} AND account = ${a}; UPDATE shop.entry SET id = ${f} WHERE id = ${e}`,
    `SAVEPOINT part; DELETE FROM shop.entry WHERE account = ${a}; ROLLBACK TO part; ${insertEntry()}`,
  ];
  const kind = number(1_000) === 0 ? insertEntry(2_000) : kinds[number(kinds.length)];
  // Who has these locks writes the account and its entries alone.
  const [first = a, second = b] = [a, b].toSorted((one, other) => one - other);
  return `BEGIN; SELECT pg_advisory_xact_lock(${first}), pg_advisory_xact_lock(${second}); ${kind};
    UPDATE shop.account SET balance = (SELECT coalesce(sum(amount), 0) FROM shop.entry WHERE account = account.id)
     WHERE id IN (${a}, ${b});
    ${number(6) === 0 ? 'ROLLBACK' : 'COMMIT'}`;
}
