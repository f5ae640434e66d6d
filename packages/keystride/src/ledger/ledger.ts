import type { Compilable, InferResult } from 'kysely';
import type pg from 'pg';
import type { ProjectName } from '../contract/project-name.ts';
import { boundedPool } from '../stores/postgres/pool.ts';
import {
  chunkBounds,
  inTransaction,
  type Transaction,
  type TransactionBounds,
} from '../stores/postgres/transaction.ts';

/** Answers queries on the ledger: a transaction, or the ledger itself, which then gives each one of its own. */
export type Asked = Pick<Transaction, 'run'>;

interface LedgerOptions {
  /** Of its transactions, where nothing else is said. @default those of a chunk */
  readonly bounds?: TransactionBounds;
  /** Who claims instances through it. @default nobody: it asks no project's name */
  readonly project?: ProjectName;
}

const nobody: ProjectName = { name: undefined, formerly: [] };

/**
 * The ledger in a database. Everything that is asked of it and written to it is a function of this room, over this
 * object or over a transaction of it: nobody else names its tables.
 *
 * Its database is the one that steps write to, so that a chunk's transaction moves the checkpoint and writes the rows.
 */
export class Ledger implements Asked {
  readonly #pool: pg.Pool;
  readonly #bounds: TransactionBounds;
  /** Who claims instances through it. */
  readonly project: ProjectName;

  constructor(pool: pg.Pool, { bounds = chunkBounds, project = nobody }: LedgerOptions = {}) {
    this.#pool = pool;
    this.#bounds = bounds;
    this.project = project;
  }

  /**
   * Runs `body` in one transaction: committed when it returns, rolled back when it throws.
   *
   * @throws CommitUnknown when the connection is lost at COMMIT; CommitRefused when the server rolled back instead.
   */
  transaction<Result>(
    body: (transaction: Transaction) => Promise<Result>,
    bounds: TransactionBounds = this.#bounds,
  ): Promise<Result> {
    return inTransaction(this.#pool, body, bounds);
  }

  /** The same ledger, in the name of a project. */
  as(project: ProjectName): Ledger {
    return new Ledger(this.#pool, { bounds: this.#bounds, project });
  }

  /** Runs one query in a transaction of its own, and returns its rows. */
  run<Query extends Compilable<unknown>>(query: Query): Promise<InferResult<Query>> {
    return this.transaction((transaction) => transaction.run(query));
  }

  /** Looks whether it is there. @throws what the database answers when it has no ledger, or lets nobody in. */
  async check(): Promise<void> {
    await this.#pool.query('SELECT FROM keystride.instance LIMIT 0');
  }
}

/** What people wait for: a lock has half a minute, statements have what the role gives them. */
const patient: TransactionBounds = { lockTimeoutMs: 30_000 };

export interface LedgerVisit {
  readonly connectionString: string;
  /** Shows in `pg_stat_activity`. */
  readonly name: string;
  /** How long each answer may take, in milliseconds. @default any time; to connect, five seconds for each way there */
  readonly within?: number | undefined;
}

/** Works with a ledger on one connection, and closes it. */
export async function visitLedger<Result>(
  visit: LedgerVisit,
  work: (ledger: Ledger) => Promise<Result>,
): Promise<Result> {
  const pool = openPool(visit, { max: 1 });
  try {
    return await work(new Ledger(pool, { bounds: patient }));
  } finally {
    await pool.end().catch(() => undefined);
  }
}

/** Connections to one ledger at a time, for all who look at once. */
const mostConnections = 8;

/** How long a connection is kept that nobody uses, in milliseconds: longer than a page that is looked at takes to come again. */
const keptFor = 10_000;

const kept = new Map<string, Ledger>();

/**
 * A ledger whose connections are kept for whoever asks next: a page that is looked at asks every few seconds. Idle ones
 * close by themselves, and keep no process alive.
 */
export function keptLedger(visit: LedgerVisit): Ledger {
  const key = JSON.stringify([visit.connectionString, visit.name, visit.within]);
  const bounds = { max: mostConnections, idleTimeoutMillis: keptFor, allowExitOnIdle: true };
  const ledger = kept.get(key) ?? new Ledger(openPool(visit, bounds), { bounds: patient });
  kept.set(key, ledger);
  return ledger;
}

function openPool({ connectionString, name, within }: LedgerVisit, bounds: pg.PoolConfig): pg.Pool {
  const asked = within === undefined ? {} : { connectionTimeoutMillis: within, query_timeout: within };
  return boundedPool(connectionString, name, { ...asked, ...bounds });
}
