import type pg from 'pg';
import { ToldError } from '../../contract/errors.ts';
import { inTransaction, type Transaction } from './transaction.ts';
import { WalAge } from './wal-age.ts';

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

interface Replica {
  /** Null for what is not a replica (a base backup), and for a logical one: that need not confirm what does not concern it. */
  readonly replayed: string | null;
  readonly lag: number | null;
}

/**
 * A role without `pg_monitor` sees replicas, but nothing of them: their state is null. Replicas can have no more than has
 * reached the disk.
 */
const replication = `
  SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0' AS position,
         (SELECT count(*) FROM pg_stat_replication WHERE state IS NULL) AS hidden,
         (SELECT coalesce(json_agg(json_build_object(
                   'replayed', CASE WHEN NOT EXISTS (SELECT FROM pg_replication_slots AS slot
                                                      WHERE slot.active_pid = replica.pid AND slot_type = 'logical')
                                    THEN (replay_lsn - '0/0')::text END,
                   'lag', extract(epoch FROM replay_lag))), '[]')
            FROM pg_stat_replication AS replica) AS replicas`;

interface Sessions {
  readonly waiting: string;
  readonly active: string;
}

/** Our own sessions are left out: what they do is bounded by the step, and a job must not hold because of itself. */
const sessions = `
  SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
         count(*) FILTER (WHERE state = 'active') AS active
    FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend'
     AND application_name NOT LIKE 'keystride%'`;

/**
 * Why a database is too busy for batch work; null when it is not.
 *
 * @param written what earlier looks at the same database have seen of its log.
 * @throws whatever kept it from being read.
 */
export function readHealth(
  pool: pg.Pool,
  limits: HealthLimits,
  written: WalAge = new WalAge(),
): Promise<string | null> {
  return inTransaction(
    pool,
    async (transaction) => {
      await transaction.query('SET TRANSACTION READ ONLY');
      return (
        (await replicasBehind(transaction, limits, written)) ??
        (await sessionsOverLimit(transaction, limits)) ??
        (await refusedByQuery(transaction, limits))
      );
    },
    bounds,
  );
}

async function replicasBehind(
  transaction: Transaction,
  { replicationLagSeconds: limit }: HealthLimits,
  written: WalAge,
): Promise<string | null> {
  if (limit === undefined) return null;
  const { rows } = await transaction.query<{ position: string; hidden: string; replicas: Replica[] }>(
    replication,
  );
  const [found] = rows;
  if (!found) return null;
  if (Number(found.hidden) > 0)
    throw new ToldError('the delay of the replicas is not shown to this role: grant it pg_monitor');
  const end = BigInt(found.position);
  const now = performance.now();
  written.note(end, now);
  const lag = Math.max(0, ...found.replicas.map((replica) => lagOf(replica, end, written, now)));
  return over(lag, limit, (seconds) => `replication lag of ${seconds.toFixed(1)} s`) ?? null;
}

/**
 * How far a replica is behind, in seconds: the age of what it has not replayed.
 *
 * `replay_lag` alone misleads. It is from the replica's last word, which comes every ten seconds where nothing else
 * happens: one whose replay stands still on a quiet server, or whose receiver hangs, goes on showing the milliseconds of
 * better times, one that has caught up the delay that is over, and after a reconnection it begins at nothing.
 */
function lagOf({ replayed, lag }: Replica, end: bigint, written: WalAge, now: number): number {
  if (replayed === null) return lag ?? 0;
  const position = BigInt(replayed);
  return position >= end ? 0 : Math.max(lag ?? 0, written.secondsAfter(position, now));
}

async function sessionsOverLimit(
  transaction: Transaction,
  { lockWaits, activeConnections }: HealthLimits,
): Promise<string | null> {
  if ((lockWaits ?? activeConnections) === undefined) return null;
  const { rows } = await transaction.query<Sessions & pg.QueryResultRow>(sessions);
  const told = [
    over(Number(rows[0]?.waiting), lockWaits, (count) => `${count} sessions wait for locks`),
    over(Number(rows[0]?.active), activeConnections, (count) => `${count} active connections`),
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
    throw new ToldError('the health query must answer a row that begins with a boolean');
  if (verdict) return null;
  return typeof reason === 'string' ? reason.slice(0, 200) : 'the health query says no';
}
