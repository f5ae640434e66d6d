import type pg from 'pg';
import { type RawBuilder, sql, type SqlBool } from 'kysely';
import { ToldError } from '../../contract/errors.ts';
import type { HeldBackBy } from '../../contract/sync.ts';
import { quotedTable } from './key-columns.ts';
import { columnIn } from './sql.ts';

/**
 * A moment in the life of a table, told by transactions instead of a clock.
 *
 * Ids and timestamps are taken before their row commits, so neither says what a reader can have seen. Transactions do:
 * each is completed or not at a given moment, and a row version carries the one that wrote it (`xmin`). Everything
 * written by a transaction below `horizon` had committed, or never will, when the moment was taken.
 */
export interface Moment {
  /** The oldest transaction that was still open, as the text of an `xid8`. */
  readonly horizon: string;
  /** Above every transaction that had completed. */
  readonly next: string;
  /** Which table of which database this is: horizons of another place, or of a database that was set back, mean nothing. */
  readonly place: string;
  /** How far the database has been written, in bytes, as text. It only goes back where the database was set back. */
  readonly written: string;
  /** When its server was started. */
  readonly started: string;
  /** The last transaction that had committed, and when; null where the server does not note it (`track_commit_timestamp`). */
  readonly committed: Commit | null;
}

interface Commit {
  readonly transaction: string;
  readonly at: string;
}

/** Row versions carry 32 bits of their transaction: farther back than this they cannot be told from new ones. */
const farthestBack = 2n ** 31n - 1_000_000n;

/**
 * The time line of a server, as SQL beside `pg_control_checkpoint()`. It changes when a standby is promoted, which may have
 * lost transactions whose numbers it gives again. The control file learns of it with the next checkpoint only; the name
 * of the present log file has it at once.
 */
export const timeLine = `CASE WHEN pg_is_in_recovery() THEN timeline_id
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END`;

/** How far a server has been written, in bytes, as SQL. */
export const bytesWritten = `pg_wal_lsn_diff(
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::text`;

/** Takes the present moment of a table. Read nothing before it that is to be seen from it. */
export async function takeMoment(pool: pg.Pool, table: string): Promise<Moment> {
  const { rows } = await pool.query<Moment>(
    `SELECT pg_snapshot_xmin(snapshot)::text AS horizon, pg_snapshot_xmax(snapshot)::text AS next,
            concat_ws('/', system_identifier,
                      ${timeLine}, pg_database.oid, to_regclass($1)::oid) AS place,
            ${bytesWritten} AS written,
            pg_postmaster_start_time()::text AS started,
            CASE WHEN current_setting('track_commit_timestamp') = 'on'
                 THEN (SELECT jsonb_build_object('transaction', xid::text, 'at', timestamp::text)
                         FROM pg_last_committed_xact() WHERE xid IS NOT NULL) END AS committed
       FROM pg_current_snapshot() AS snapshot, pg_control_system(), pg_control_checkpoint(), pg_database
      WHERE datname = current_database()`,
    [quotedTable(table)],
  );
  if (!rows[0]) throw new ToldError(`the source does not tell its transactions`);
  return rows[0];
}

/** What is remembered of a moment to see that the database has been set back since. An older release knew less. */
export type MomentMark = Pick<Moment, 'next' | 'written'> & Partial<Pick<Moment, 'started' | 'committed'>>;

/** Whether row versions of now can be compared with an earlier horizon. */
export function isComparable(earlier: string, { next }: Pick<Moment, 'next'>): boolean {
  const back = BigInt(next) - BigInt(earlier);
  return back >= 0n && back < farthestBack;
}

/**
 * Whether a database has been set back to before a moment: a backup was restored, a disk's snapshot started again. One that
 * has since written more than it had tells by what it says of a transaction of that time.
 *
 * @returns undefined where nobody can know: its server was started since, and does not note when transactions commit.
 */
export async function isSetBack(
  pool: pg.Pool,
  before: MomentMark,
  now: MomentMark,
): Promise<boolean | undefined> {
  if (BigInt(now.next) < BigInt(before.next) || BigInt(now.written) < BigInt(before.written)) return true;
  const at = before.committed && now.committed && (await committedAt(pool, before.committed.transaction));
  if (at) return at !== before.committed.at;
  return before.started === undefined || before.started === now.started ? false : undefined;
}

/** Null for a transaction that is too old to be known. */
async function committedAt(pool: pg.Pool, transaction: string): Promise<string | null> {
  const { rows } = await pool.query<{ at: string | null }>(
    'SELECT pg_xact_commit_timestamp($1::xid)::text AS at',
    [transaction],
  );
  return rows[0]?.at ?? null;
}

/** The present moment of a database that rows are written to, as the text of an `xid8`. */
export async function presentTransaction(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ oldest: string }>(
    'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest',
  );
  return rows[0]?.oldest ?? '0';
}

/** What to look for below a cursor. */
export interface Since {
  /** The horizon of the run before: see `Moment`. */
  readonly horizon: string;
  /** The oids of partitions and children that the table did not have then: all their rows are new to it. */
  readonly joined: readonly string[];
}

/**
 * The condition that a row version was written by a transaction that had not completed at a horizon, or began later; or
 * came with a partition. A savepoint's number is above that of its transaction, so rows written inside of one are found
 * too.
 */
export function arrivedSince(table: string, { horizon, joined }: Since): RawBuilder<SqlBool> {
  const low32 = String(BigInt.asUintN(32, BigInt(horizon)));
  const written = sql<SqlBool>`age(${columnIn(table, 'xmin')}) <= age(${low32}::text::xid)`;
  if (joined.length === 0) return written;
  return sql<SqlBool>`(${written} or ${columnIn(table, 'tableoid')} = any(${joined}::text[]::oid[]))`;
}

/** The transaction that a moment's horizon is: null when it has ended meanwhile, or none was open. */
export async function openTransaction(pool: pg.Pool, { horizon }: Moment): Promise<HeldBackBy | null> {
  const { rows } = await pool.query<Omit<HeldBackBy, 'transaction'>>(
    `SELECT pid AS "processId", nullif(application_name, '') AS application, state,
            extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
       FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid IS NOT NULL
        AND transactionid = $1::text::xid
      UNION ALL
     SELECT NULL, 'prepared transaction ' || gid, 'prepared', extract(epoch FROM clock_timestamp() - prepared)::int
       FROM pg_prepared_xacts WHERE transaction = $1::text::xid
      LIMIT 1`,
    [String(BigInt.asUintN(32, BigInt(horizon)))],
  );
  return rows[0] ? { transaction: horizon, ...rows[0] } : null;
}
