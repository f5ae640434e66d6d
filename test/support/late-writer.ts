import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Random, seededRandom } from './random.ts';

/** A table of documents that transactions write to: `id`, `ticket_key`, `document_name`, `updated_at`. */
interface Writing {
  readonly databaseUrl: string;
  readonly table: string;
  readonly transactions: number;
  readonly connections: number;
  /** How many of them stay open for two to three seconds. */
  readonly held: number;
}

/**
 * Commits transactions in another order than they took their ids and their timestamps in: each stays open for a random
 * time, some for seconds. Besides plain inserts there are ids that were taken long before their transaction wrote
 * anything, inserts inside of savepoints, several rows at once, and changes of older rows.
 */
export async function commitInRandomOrder(writing: Writing): Promise<void> {
  const random = seededRandom('transactions that commit in random order');
  const numbers = Array.from({ length: writing.transactions }, (_, index) => index);
  const every = Math.floor(writing.transactions / writing.held);
  await Promise.all(
    Array.from({ length: writing.connections }, async () => {
      const client = new pg.Client({ connectionString: writing.databaseUrl });
      await client.connect();
      try {
        for (let next = numbers.shift(); next !== undefined; next = numbers.shift()) {
          const openMs = next % every === 0 ? random.between(2000, 3000) : random.between(0, 20);
          await writeOnce(client, writing, { number: next, openMs, random });
        }
      } finally {
        await client.end();
      }
    }),
  );
}

/** Does something again and again while work goes on, and once it has begun at least once. */
export async function during(work: Promise<void>, body: () => Promise<void>): Promise<void> {
  const state = { goesOn: true };
  const ended = work.finally(() => (state.goesOn = false));
  while (state.goesOn) await body();
  await ended;
}

interface Transaction {
  readonly number: number;
  readonly openMs: number;
  readonly random: Random;
}

async function writeOnce(
  client: pg.Client,
  { table }: Writing,
  { number, openMs, random }: Transaction,
): Promise<void> {
  const key = `W-${number}`;
  const insert = `INSERT INTO ${table} (ticket_key, document_name) SELECT $1 || part, 'written' FROM generate_series(1, $2::int) AS part`;
  await client.query('BEGIN');
  const kind = number % 5;
  if (kind === 0) {
    const { rows } = await client.query<{ id: string }>(
      `SELECT nextval(pg_get_serial_sequence('${table}', 'id')) AS id`,
    );
    await delay(openMs);
    await client.query(`INSERT INTO ${table} (id, ticket_key) VALUES ($1, $2)`, [rows[0]?.id, key]);
  } else if (kind === 1) {
    await client.query('SAVEPOINT inner_part');
    await client.query(insert, [key, 1]);
    await client.query('RELEASE SAVEPOINT inner_part');
    await delay(openMs);
  } else if (kind === 2) {
    await client.query(`UPDATE ${table} SET document_name = $1, updated_at = now() WHERE id = $2`, [
      `changed by ${number}`,
      Math.ceil(random.between(0, 400)),
    ]);
    await client.query(insert, [key, 1]);
    await delay(openMs / 4);
  } else {
    await client.query(insert, [key, kind]);
    await delay(openMs);
  }
  await client.query('COMMIT');
}
