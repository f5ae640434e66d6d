import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { bytesOf } from '../../contract/bytes.ts';
import { isConnectionLost } from './errors.ts';
import { connectionOptions, ServerClient } from './server-client.ts';
import { parametersOf } from './parameter.ts';
import { type MostRows, rowsByBytes, type SizedRows } from './rows-by-bytes.ts';

/** What a read may take. */
export interface ReadBounds {
  /** Aborted when nobody waits for the answer any more: the statement is then cancelled on the server too. */
  readonly signal?: AbortSignal | undefined;
  /** Enforced by the server, in milliseconds. @default readTimeoutMs */
  readonly timeoutMs?: number;
}

/** What a read may take, in milliseconds: less than an activity that waits for it, which may take five minutes. */
export const readTimeoutMs = 4 * 60_000;

/** How much longer than the server we wait: so long only for a server that is no longer there. In milliseconds. */
const graceMs = 15_000;

/** How long a cancelled statement may take to end, in milliseconds. Then its connection is closed. */
const endsWithinMs = 3_000;

/** Asks for the rows of a statement of a read. */
export type Ask = <Row extends pg.QueryResultRow>(
  text: string,
  values: unknown[],
) => Promise<pg.QueryResult<Row>>;

type AskRows = (text: string, values: unknown[], most: MostRows) => Promise<SizedRows>;

/** A statement with a time of its own for the waiting: what the pool says of it is for short ones. */
interface TimedQuery extends pg.QueryConfig {
  readonly query_timeout: number;
}

/**
 * Runs one statement that reads, for so long as somebody waits for it and no longer than its time.
 *
 * The server ends it when its time is over (SQLSTATE 57014). When the signal aborts it is cancelled on the server, through
 * a second connection, so that no scan goes on that nobody waits for; a server that can tell (PostgreSQL 14 on Linux)
 * also ends it when this process dies. Works behind a pooler of any kind. On a pool that is none, as `rolledBackPool`
 * gives it, the statement is run as it is.
 *
 * @throws the signal's reason when it aborts.
 */
export async function boundedQuery<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[] = [],
  bounds: ReadBounds = {},
): Promise<pg.QueryResult<Row>> {
  return boundedRead(pool, bounds, (ask) => ask<Row>(text, parametersOf(values)));
}

/** The same for rows that may be large: it ends when they take so many bytes together, with one row at least. */
export async function boundedRows(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[],
  bounds: ReadBounds & MostRows,
): Promise<SizedRows> {
  return boundedRead(pool, bounds, (_, askRows) => askRows(text, parametersOf(values), bounds));
}

/** The same for several statements, in one transaction; the time is that of each. */
async function boundedRead<Result>(
  pool: pg.Pool,
  { signal, timeoutMs = readTimeoutMs }: ReadBounds,
  body: (ask: Ask, askRows: AskRows) => Promise<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  if (!keepsWhatItDoes(pool)) return body((text, values) => pool.query(text, values), rowsOfOneSession(pool));
  const client = await pool.connect();
  // A connection that has failed in any way is not given to anyone else.
  let broken: Error | undefined;
  const onError = (error: Error) => void (broken = error);
  client.on('error', onError);
  let session = 0;
  let cancelling: Promise<boolean> | undefined;
  const unending = Promise.withResolvers<never>();
  unending.promise.catch(() => undefined);
  const cancel = () => {
    cancelling ??= cancelStatement(pool, client, session);
    void giveUpAfter(cancelling);
  };
  const giveUpAfter = async (cancelled: Promise<boolean>) => {
    await cancelled;
    await delay(endsWithinMs, undefined, { ref: false });
    broken ??= new Error('connection ended: a cancelled statement went on');
    unending.reject(broken);
  };
  const ask: Ask = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) => {
    signal?.throwIfAborted();
    const query: TimedQuery = { text, values, query_timeout: timeoutMs + graceMs };
    return Promise.race([client.query<Row>(query), unending.promise]);
  };
  const askRows: AskRows = async (text, values, most) => {
    signal?.throwIfAborted();
    const query = { text, values, types: pool.options.types ?? pg.types, timeoutMs: timeoutMs + graceMs };
    return Promise.race([rowsByBytes(client, query, most, cancel), unending.promise]);
  };
  let ended = false;
  const giveBack = async () => {
    const failed = await end(client, broken ? 'lost' : ended ? 'COMMIT' : 'ROLLBACK');
    client.off('error', onError);
    client.release(broken ?? failed);
  };
  try {
    session = await begin(client, timeoutMs);
    signal?.addEventListener('abort', cancel, { once: true });
    const result = await body(ask, askRows);
    ended = true;
    return result;
  } catch (error) {
    if (signal?.aborted) throw signal.reason as Error;
    if (isConnectionLost(error)) broken ??= new Error('the connection was lost', { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
    // What cancels a statement must not meet the next one on this connection.
    await cancelling;
    // Nobody has to wait for it to end.
    void giveBack();
  }
}

/** One that keeps nothing has a single session, whose transactions must not overlap: see `rolledBackPool`. */
export function keepsWhatItDoes(pool: object): boolean {
  return pool instanceof pg.Pool;
}

function rowsOfOneSession(pool: pg.Pool): AskRows {
  return async (text, values) => {
    const { rows } = await pool.query<pg.QueryResultRow>(text, values);
    return { rows, sizes: rows.map(bytesOf), cut: false };
  };
}

/** @returns the process of the server that works for us, which behind a pooler is not the one that we connected to. */
async function begin(client: pg.PoolClient, timeoutMs: number): Promise<number> {
  const text = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = ${Math.round(timeoutMs)};
    SELECT pg_backend_pid() AS session, CASE
      WHEN current_setting('client_connection_check_interval', true) IS NOT NULL AND version() LIKE '%linux%'
      THEN set_config('client_connection_check_interval', '2000', true) END`;
  const results: unknown = await client.query(text);
  const [{ rows } = { rows: [] }] = (results as pg.QueryResult<{ session: number }>[]).slice(-1);
  return rows[0]?.session ?? 0;
}

/** @returns why the connection can be used no longer, if so. */
async function end(client: pg.PoolClient, by: 'COMMIT' | 'ROLLBACK' | 'lost'): Promise<Error | undefined> {
  if (by === 'lost') return undefined;
  try {
    await client.query(by);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * Cancels what a process of the server is running. It has a connection of its own: those of the pool may all be waiting.
 * Where it does not come through, the time-out of the statement ends it.
 */
async function cancelStatement(pool: pg.Pool, of: pg.Client, session: number): Promise<boolean> {
  const options = { ...connectionOptions(pool), query_timeout: endsWithinMs };
  const client = of instanceof ServerClient ? of.another(options) : new pg.Client(options);
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ done: boolean }>('SELECT pg_cancel_backend($1) AS done', [session]);
    return rows[0]?.done ?? false;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
