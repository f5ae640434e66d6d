import type pg from 'pg';
import { inTransaction, type Transaction } from './transaction.ts';

/** When a database is said to be too busy. What is not named is not looked at. */
export interface HealthLimits {
  /** The greatest delay of a replica of this server, in seconds. */
  readonly replicationLagSeconds?: number;
  /** Sessions of others that may wait for a lock. */
  readonly lockWaits?: number;
  /** Sessions of others that may be at work. */
  readonly activeConnections?: number;
  /** A query of the operator's own: its first row's first column is true when all is well, the second says why not. */
  readonly query?: string;
}

/** Whoever asks how a database is must not be what it suffers from. */
const bounds = { statementTimeoutMs: 2_000, idleTimeoutMs: 5_000 };

interface Figures {
  readonly lag: string;
  readonly hidden: string;
  readonly waiting: string;
  readonly active: string;
}

/**
 * Our own sessions are left out: what they do is bounded by the step, and a job must not hold because of itself. A role
 * without `pg_monitor` sees replicas, but nothing of them: their state is null.
 */
const figures = `
  SELECT (SELECT coalesce(extract(epoch FROM max(replay_lag)), 0) FROM pg_stat_replication) AS lag,
         (SELECT count(*) FROM pg_stat_replication WHERE state IS NULL) AS hidden,
         count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
         count(*) FILTER (WHERE state = 'active') AS active
    FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend'
     AND application_name NOT LIKE 'keystride%'`;

/**
 * Why a database is too busy for batch work; null when it is not.
 *
 * @throws whatever kept it from being read.
 */
export function readHealth(pool: pg.Pool, limits: HealthLimits): Promise<string | null> {
  return inTransaction(
    pool,
    async (transaction) => {
      await transaction.query('SET TRANSACTION READ ONLY');
      return (await overLimit(transaction, limits)) ?? (await refusedByQuery(transaction, limits));
    },
    bounds,
  );
}

async function overLimit(transaction: Transaction, limits: HealthLimits): Promise<string | null> {
  const { replicationLagSeconds, lockWaits, activeConnections } = limits;
  if ((replicationLagSeconds ?? lockWaits ?? activeConnections) === undefined) return null;
  const { rows } = await transaction.query<Figures & pg.QueryResultRow>(figures);
  const found = rows[0];
  if (!found) return null;
  if (replicationLagSeconds !== undefined && Number(found.hidden) > 0)
    throw new Error('the delay of the replicas is not shown to this role: grant it pg_monitor');
  const told = [
    over(Number(found.lag), replicationLagSeconds, (lag) => `replication lag of ${lag.toFixed(1)} s`),
    over(Number(found.waiting), lockWaits, (count) => `${count} sessions wait for locks`),
    over(Number(found.active), activeConnections, (count) => `${count} active connections`),
  ].filter((one) => one !== undefined);
  return told.length > 0 ? told.join(', ') : null;
}

function over(found: number, limit: number | undefined, tell: (found: number) => string): string | undefined {
  return limit !== undefined && found > limit ? `${tell(found)}, more than ${limit}` : undefined;
}

async function refusedByQuery(transaction: Transaction, { query }: HealthLimits): Promise<string | null> {
  if (query === undefined) return null;
  // Columns without names have the same one: the first is given one, so that both arrive.
  const { rows, fields } = await transaction.query(
    `SELECT * FROM (${query.trim().replace(/;$/u, '')}\n) AS health (fine) LIMIT 1`,
  );
  const [verdict, reason] = fields.map(({ name }) => rows[0]?.[name] as unknown);
  if (typeof verdict !== 'boolean')
    throw new Error('the health query must answer a row that begins with a boolean');
  if (verdict) return null;
  return typeof reason === 'string' ? reason.slice(0, 200) : 'the health query says no';
}
