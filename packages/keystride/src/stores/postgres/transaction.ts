import type pg from 'pg';
import type { Compilable, InferResult } from 'kysely';
import { ToldError } from '../../contract/errors.ts';
import { UnusableAnswer } from '../../contract/unusable-answer.ts';
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

/** A statement came after its transaction had ended: it was not run. */
class TransactionEnded extends ToldError {
  override readonly name = 'TransactionEnded';

  constructor() {
    super(
      'the transaction has ended, and this statement was not run: await each statement before you return',
    );
  }
}

/** A transaction, for whoever begins and ends it. */
interface Open extends Transaction {
  begun(): Promise<unknown>;
  /** From now on it takes no statement. */
  end(): void;
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
  let transaction: Open | undefined;
  const onError = (error: Error) => void (broken = error);
  client.on('error', onError);
  try {
    transaction = transactionOn(client, beginWith(bounds));
    const result = await body(transaction);
    transaction.end();
    await transaction.begun();
    await commit(client);
    return result;
  } catch (error) {
    transaction?.end();
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
function transactionOn(client: pg.PoolClient, begin: string): Open {
  const statements = { underWay: 0 };
  let ended = false;
  let opening: Promise<unknown> | undefined;
  const begun = () => (opening ??= client.query(begin));
  const first = async (text: string) => {
    // Several statements of one message are answered by several results, which the driver's types do not know.
    const results = client.query(`${begin}; ${text}`) as unknown as Promise<pg.QueryResult[]>;
    opening = results;
    return (await results).at(-1) as pg.QueryResult;
  };
  const query = async (text: string, values?: unknown[]): Promise<pg.QueryResult> => {
    if (ended) throw new TransactionEnded();
    refuseUnreadable(text);
    statements.underWay += 1;
    try {
      if (!opening && !values && plainText.test(text)) return await first(text);
      await begun();
      // It may have ended meanwhile; the connection is somebody else's then.
      if (ended) throw new TransactionEnded();
      return await client.query(text, values);
    } finally {
      statements.underWay -= 1;
    }
  };
  // One that nobody awaits is refused by whoever ends the transaction, and does not end the process when it fails.
  const heard = <Answer>(answer: Promise<Answer>): Promise<Answer> => {
    if (!ended) answer.catch(() => undefined);
    return answer;
  };
  const queried = async (text: string, values?: unknown[]) => query(text, values && parametersOf(values));
  const run = async <Query extends Compilable<unknown>>(compilable: Query) => {
    const { sql, parameters } = compilable.compile();
    const result = await query(sql, parametersOf(parameters));
    return result.rows as InferResult<Query>;
  };
  const transaction: Open = {
    begun,
    end: () => void (ended = true),
    query: (text, values) => heard(queried(text, values)),
    run: (compilable) => heard(run(compilable)),
  };
  statementsOf.set(transaction, statements);
  return transaction;
}

/** Statements that have been given to a transaction and are not answered. */
const statementsOf = new WeakMap<Transaction, { readonly underWay: number }>();

/**
 * Lets somebody else's code work in a transaction, to its end: what it has not awaited could fail unheard, or come after
 * the commit.
 *
 * @param who for the message.
 * @throws UnusableAnswer where it has returned while statements of it are under way.
 */
export async function awaited<Result>(
  transaction: Transaction,
  who: string,
  body: () => Promise<Result>,
): Promise<Result> {
  const result = await body();
  const { underWay } = statementsOf.get(transaction) ?? { underWay: 0 };
  if (underWay === 0) return result;
  throw new UnusableAnswer(
    `${who} has returned before ${underWay === 1 ? 'a statement' : `${underWay} statements`} of its transaction had been answered: ` +
      'await each (`await transaction.query(…)`). Nothing of it has committed',
  );
}
