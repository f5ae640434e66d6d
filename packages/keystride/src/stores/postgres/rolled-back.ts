import type pg from 'pg';
import { types } from './pool.ts';
import { SessionClient } from './session.ts';

/** A pool whose every statement runs in one transaction that is never committed. */
export interface RolledBackPool {
  readonly pool: pg.Pool;
  /** Rolls everything back and gives the connection up. */
  end(): Promise<void>;
}

const savepoint = 'keystride_rolled_back';

/**
 * Gives a pool that behaves like any other and leaves nothing behind: there is one connection, one transaction around
 * everything, and what would commit releases a savepoint instead. Whoever uses it sees what they have written before.
 *
 * Transactions on it must not overlap.
 */
export async function rolledBackPool(connectionString: string, name: string): Promise<RolledBackPool> {
  const client = new SessionClient({ connectionString, application_name: name, types, keepAlive: true });
  await client.connect();
  await client.query('BEGIN');
  const query = async (text: string, values?: unknown[]) => {
    if (/^(COMMIT|ROLLBACK)$/.test(text)) return ended(client, text === 'COMMIT');
    return client.query(text.replace(/^BEGIN[^;]*/, `SAVEPOINT ${savepoint}`), values);
  };
  const leased = { query, on: () => leased, off: () => leased, release: () => undefined };
  // What the stores use of a pool; nothing else is there.
  const pool = { options: { types }, query, connect: () => Promise.resolve(leased) } as unknown as pg.Pool;
  return {
    pool,
    end: async () => {
      await client.query('ROLLBACK').catch(() => undefined);
      await client.end();
    },
  };
}

async function ended(client: pg.Client, committed: boolean): Promise<pg.QueryResult> {
  // Checked where COMMIT would check it: a row may not refer to one that is not there.
  if (committed) await client.query('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED');
  else await client.query(`ROLLBACK TO SAVEPOINT ${savepoint}`);
  const result = await client.query(`RELEASE SAVEPOINT ${savepoint}`);
  return { ...result, command: committed ? 'COMMIT' : 'ROLLBACK' };
}
