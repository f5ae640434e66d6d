import type pg from 'pg';
import type { Compilable, InferResult } from 'kysely';
import { ToldError } from '../../contract/errors.ts';
import { isConnectionLost, isReadOnly } from './errors.ts';
import { parametersOf, refuseUnreadable } from './parameter.ts';

/** The statements of one transaction. It begins and ends outside of whoever holds it. */
export interface Transaction {
  /**
   * Runs SQL with `$1` parameters, of which none is undefined: NULL is `null`. The first statement, if it has none, is sent in one message with what begins the
   * transaction.
   */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>>;
  /** Runs a query built with Kysely and returns its rows. */
  run<Query extends Compilable<unknown>>(query: Query): Promise<InferResult<Query>>;
}

/** Nobody knows whether the transaction committed: the connection was lost while COMMIT was under way. */
export class CommitUnknown extends ToldError {
  override readonly name = 'CommitUnknown';
}

/** COMMIT was answered with ROLLBACK: an error inside the transaction had gone unnoticed. */
export class CommitRefused extends ToldError {
  override readonly name = 'CommitRefused';
}

/** What a transaction may take, in milliseconds. */
export interface TransactionBounds {
  /** @default what the role or the server sets */
  readonly statementTimeoutMs?: number;
  /** @default what the role or the server sets */
  readonly idleTimeoutMs?: number;
  /** How long it waits for a lock. @default 4,000 */
  readonly lockTimeoutMs?: number;
  /** Whether all its statements see one moment, and write nothing. @default false */
  readonly snapshot?: boolean;
  /** Whether COMMIT is answered only when it has reached the disk, and what the server's settings ask for beyond. @default true */
  readonly waitForDisk?: boolean;
}

/**
 * Below the heartbeat time-out of a page: a worker that froze inside a transaction must have lost its locks before its
 * page is given to another.
 */
export const chunkBounds: TransactionBounds = { statementTimeoutMs: 7_000, idleTimeoutMs: 5_000 };

function beginWith(bounds: TransactionBounds): string {
  const { statementTimeoutMs, idleTimeoutMs, lockTimeoutMs = 4_000 } = bounds;
  const { waitForDisk = true, snapshot = false } = bounds;
  return [
    `BEGIN ISOLATION LEVEL ${snapshot ? 'REPEATABLE READ READ ONLY' : 'READ COMMITTED'}`,
    ...timeOut('lock_timeout', lockTimeoutMs),
    ...timeOut('statement_timeout', statementTimeoutMs),
    ...timeOut('idle_in_transaction_session_timeout', idleTimeoutMs),
    ...(waitForDisk ? [] : ['SET LOCAL synchronous_commit = off']),
  ].join('; ');
}

function timeOut(setting: string, milliseconds: number | undefined): string[] {
  return milliseconds === undefined ? [] : [`SET LOCAL ${setting} = ${Math.round(milliseconds)}`];
}

/**
 * Runs `body` in one transaction: committed when it returns, rolled back when it throws.
 *
 * @throws CommitUnknown when the connection is lost at COMMIT; the caller must look at what is there.
 * @throws CommitRefused when the server rolled back instead.
 */
export async function inTransaction<Result>(
  pool: pg.Pool,
  body: (transaction: Transaction) => Promise<Result>,
  bounds: TransactionBounds = chunkBounds,
): Promise<Result> {
  const client = await pool.connect();
  // A connection that has failed in any way is not given to anyone else.
  let broken: Error | undefined;
  const onError = (error: Error) => void (broken = error);
  client.on('error', onError);
  try {
    const transaction = transactionOn(client, beginWith(bounds));
    const result = await body(transaction);
    await transaction.begun();
    await commit(client);
    return result;
  } catch (error) {
    broken ??= await rollback(client);
    // The session stays read-only; the next one may be of another server, or of this one after its failover.
    if (isReadOnly(error)) broken ??= error;
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  let result: pg.QueryResult;
  try {
    result = await client.query('COMMIT');
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
    throw new CommitUnknown('the connection was lost at COMMIT', { cause: error });
  }
  if (result.command !== 'COMMIT') {
    throw new CommitRefused(`COMMIT was answered with ${result.command}: nothing of the chunk has committed`);
  }
}

async function rollback(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * What is read alike whatever the session had set before, of which a message that begins a transaction is read: no
 * backslash, and nothing beyond ASCII.
 */
const plainText = /^[\t\n\x20-\x5b\x5d-\x7e]*$/u;

/**
 * A transaction that begins with its first statement. Where both are one message, the statement does not run without the
 * transaction, whatever ends the message; and none is sent before the answer says that it has begun.
 */
function transactionOn(client: pg.PoolClient, begin: string): Transaction & { begun(): Promise<unknown> } {
  let opening: Promise<unknown> | undefined;
  const begun = () => (opening ??= client.query(begin));
  const first = async (text: string) => {
    // Several statements of one message are answered by several results, which the driver's types do not know.
    const results = client.query(`${begin}; ${text}`) as unknown as Promise<pg.QueryResult[]>;
    opening = results;
    return (await results).at(-1) as pg.QueryResult;
  };
  const query = async (text: string, values?: unknown[]): Promise<pg.QueryResult> => {
    refuseUnreadable(text);
    if (!opening && !values && plainText.test(text)) return first(text);
    await begun();
    return client.query(text, values);
  };
  return {
    begun,
    query: async (text, values) => query(text, values && parametersOf(values)),
    run: async <Query extends Compilable<unknown>>(compilable: Query) => {
      const { sql, parameters } = compilable.compile();
      const result = await query(sql, parametersOf(parameters));
      return result.rows as InferResult<Query>;
    },
  };
}
