import type pg from 'pg';
import { type RawBuilder, sql, type SqlBool } from 'kysely';
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
}

/** Row versions carry 32 bits of their transaction: farther back than this they cannot be told from new ones. */
const farthestBack = 2n ** 31n - 1_000_000n;

/** Takes the present moment of a table. Read nothing before it that is to be seen from it. */
export async function takeMoment(pool: pg.Pool, table: string): Promise<Moment> {
  // The time line changes when a standby is promoted, which may have lost transactions whose numbers it gives again.
  const { rows } = await pool.query<Moment>(
    `SELECT pg_snapshot_xmin(snapshot)::text AS horizon, pg_snapshot_xmax(snapshot)::text AS next,
            concat_ws('/', system_identifier, timeline_id, pg_database.oid, to_regclass($1)::oid) AS place
       FROM pg_current_snapshot() AS snapshot, pg_control_system(), pg_control_checkpoint(), pg_database
      WHERE datname = current_database()`,
    [quotedTable(table)],
  );
  if (!rows[0]) throw new Error(`the source does not tell its transactions`);
  return rows[0];
}

/** Whether row versions of now can be compared with an earlier horizon. */
export function isComparable(earlier: string, { next }: Moment): boolean {
  const back = BigInt(next) - BigInt(earlier);
  return back >= 0n && back < farthestBack;
}

/**
 * The condition that a row version was written by a transaction that had not completed at a horizon, or began later.
 * A savepoint's number is above that of its transaction, so rows written inside of one are found too.
 */
export function writtenSince(table: string, horizon: string): RawBuilder<SqlBool> {
  const low32 = String(BigInt.asUintN(32, BigInt(horizon)));
  return sql<SqlBool>`age(${columnIn(table, 'xmin')}) <= age(${low32}::text::xid)`;
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
