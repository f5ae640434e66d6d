import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { failure, ToldError } from '../../contract/errors.ts';
import { timeLine } from './horizon.ts';
import { type LogPosition, positionOf } from './log-position.ts';
import { quotedTable } from './key-columns.ts';
import { connectionOptions, ServerClient } from './server-client.ts';
import { isStandby } from './standby.ts';

/** A logical replication slot, as its server has it. */
export interface ReplicationSlot {
  /** Everything up to here was confirmed, and is not told again. */
  readonly confirmed: LogPosition;
  /** Why nothing can be read from it any more, by the setting that its server went by; null while it can be read. */
  readonly lost: string | null;
}

/** A slot of ours, and the log that its server keeps for it. */
export interface KeepingSlot {
  readonly slot: string;
  /** Somebody reads it. */
  readonly active: boolean;
  /** Null when the server has removed what it needed, or given it up. */
  readonly keptBytes: number | null;
  /** After so many bytes more the server gives it up (`max_slot_wal_keep_size`); null for never. */
  readonly safeBytes: number | null;
  /** Why nothing can be read from it any more; null while it can be read. */
  readonly lost: string | null;
  /** Everything up to here was confirmed, as the text of a position. */
  readonly confirmed: string | null;
}

/** From PostgreSQL 17 on the reason is there. */
const lostBy = `CASE WHEN wal_status = 'lost' THEN
  CASE coalesce(to_jsonb(slot) ->> 'invalidation_reason', 'wal_removed')
    WHEN 'idle_timeout' THEN 'idle_replication_slot_timeout'
    WHEN 'wal_removed' THEN 'max_slot_wal_keep_size'
    ELSE to_jsonb(slot) ->> 'invalidation_reason' END END`;

/** What has become of a slot that is lost, in words. */
export function lostText(slot: string, by: string): string {
  return by === 'idle_replication_slot_timeout'
    ? `the source has given up the replication slot ${slot}, which nobody has read for too long (${by})`
    : `the source has removed log that the replication slot ${slot} needed (${by})`;
}

/** The slots of a database that bear our name, whoever's they are, by name. */
export async function keepingSlots(client: Pick<pg.Client, 'query'>): Promise<readonly KeepingSlot[]> {
  const { rows } = await client.query<{
    slot: string;
    active: boolean;
    kept: string | null;
    safe: string | null;
    lost: string | null;
    confirmed: string | null;
  }>(
    `SELECT slot_name AS slot, active, safe_wal_size::text AS safe, confirmed_flush_lsn::text AS confirmed,
            ${lostBy} AS lost, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint::text AS kept
       FROM pg_replication_slots AS slot
      WHERE starts_with(slot_name, 'keystride_') AND database = current_database() AND plugin = 'pgoutput'
      ORDER BY slot_name`,
  );
  return rows.map(({ kept, safe, ...slot }) => ({
    ...slot,
    keptBytes: kept === null || slot.lost !== null ? null : Number(kept),
    safeBytes: safe === null ? null : Number(safe),
  }));
}

/** Where a server is in its log, and which server that is. */
export interface LogMoment {
  /** The server, its time line and the database. */
  readonly place: string;
  /** How far the log is safe from a crash. */
  readonly flushed: LogPosition;
}

/** @returns null when there is no slot of the name in this database. */
export async function findSlot(
  pool: Pick<pg.Client, 'query'>,
  slot: string,
): Promise<ReplicationSlot | null> {
  const { rows } = await pool.query<{ confirmed: string | null; lost: string | null }>(
    `SELECT confirmed_flush_lsn::text AS confirmed, ${lostBy} AS lost FROM pg_replication_slots AS slot
      WHERE slot_name = $1 AND database = current_database() AND plugin = 'pgoutput'`,
    [slot],
  );
  const [row] = rows;
  if (!row) return null;
  return { confirmed: positionOf(row.confirmed ?? '0/0'), lost: row.lost };
}

/**
 * The place that positions are of, the time line included.
 *
 * @throws Unavailable for a standby: it may be promoted just now.
 */
export async function logMoment(pool: pg.Pool): Promise<LogMoment> {
  if (await isStandby(pool))
    throw failure('Unavailable', 'the source is a standby that is not promoted, or not yet', {
      retryable: true,
    });
  const { rows } = await pool.query<{ place: string; flushed: string }>(
    `SELECT concat_ws('/', system_identifier, ${timeLine}, pg_database.oid) AS place,
            pg_current_wal_flush_lsn()::text AS flushed
       FROM pg_control_system(), pg_control_checkpoint(), pg_database WHERE datname = current_database()`,
  );
  if (!rows[0]) throw new ToldError('the source does not tell where its log is');
  return { place: rows[0].place, flushed: positionOf(rows[0].flushed) };
}

/** Writes a mark into the log, which everything that has committed by now lies before. It is of no table. */
export async function markLog(pool: pg.Pool, text: string): Promise<LogPosition> {
  const { rows } = await pool.query<{ at: string }>(
    `SELECT pg_logical_emit_message(true, 'keystride', $1)::text AS at`,
    [text],
  );
  return positionOf(rows[0]?.at ?? '0/0');
}

/**
 * Makes a slot, which waits for the transactions that are writing.
 *
 * @returns where it begins: it tells everything that commits from there on.
 */
export async function createSlot(pool: pg.Pool, slot: string): Promise<LogPosition> {
  const { rows: servers } = await pool.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  // From 17 on a slot may be kept by standbys too, and outlives a failover.
  const failover = (servers[0]?.version ?? 0) >= 170_000 ? ', failover => true' : '';
  const client = new ServerClient({ ...connectionOptions(pool), query_timeout: 0 });
  await client.connect();
  try {
    const { rows } = await client.query<{ lsn: string }>(
      `SELECT lsn::text AS lsn FROM pg_create_logical_replication_slot($1, 'pgoutput', false, false${failover})`,
      [slot],
    );
    return positionOf(rows[0]?.lsn ?? '0/0');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** How often somebody else is asked to leave a slot. */
const mostAsked = 50;

/** Ends whoever reads a slot: it is of one reader, and whoever calls this has the right to be it. */
export async function freeSlot(pool: Pick<pg.Client, 'query'>, slot: string): Promise<void> {
  for (let asked = 0; asked < mostAsked; asked++) {
    const { rows } = await pool.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL`,
      [slot],
    );
    if (rows.length === 0) return;
    await delay(100);
  }
}

/** Drops a slot, if it is there. */
export async function dropSlot(pool: Pick<pg.Client, 'query'>, slot: string): Promise<void> {
  await freeSlot(pool, slot);
  await pool.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
}

/** Makes a publication of tables, unless there is one of the name that publishes exactly these, with all rows and changes. */
export async function ensurePublication(
  pool: pg.Pool,
  publication: string,
  tables: readonly string[],
): Promise<void> {
  const names = tables.map(quotedTable);
  const { rows } = await pool.query<{ whole: boolean; root: boolean; tables: string[] | null }>(
    `SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AND NOT puballtables AS whole, pubviaroot AS root,
            array(SELECT prrelid::oid::text FROM pg_publication_rel WHERE prpubid = pg_publication.oid
                     AND to_jsonb(pg_publication_rel) ->> 'prqual' IS NULL
                     AND to_jsonb(pg_publication_rel) ->> 'prattrs' IS NULL ORDER BY 1) AS tables
       FROM pg_publication WHERE pubname = $1`,
    [publication],
  );
  const { rows: wanted } = await pool.query<{ oids: string[] }>(
    `SELECT array(SELECT to_regclass(name)::oid::text FROM unnest($1::text[]) AS name ORDER BY 1) AS oids`,
    [names],
  );
  const [found] = rows;
  const isRight = found?.whole && (found.root || !(await areDivided(pool, tables)));
  if (isRight && JSON.stringify(found.tables) === JSON.stringify(wanted[0]?.oids)) return;
  const name = pg.escapeIdentifier(publication);
  if (found) await pool.query(`DROP PUBLICATION ${name}`);
  await pool.query(await publicationStatement(pool, publication, tables));
}

/**
 * A text that is another one after a publication was altered, or made anew, or one of its tables was: the log does not tell
 * what was written meanwhile. @returns null where there is none
 */
export async function publicationMark(pool: pg.Pool, publication: string): Promise<string | null> {
  const { rows } = await pool.query<{ mark: string }>(
    `SELECT concat_ws(' ', oid, xmin, (SELECT string_agg(concat_ws(':', oid, xmin, prrelid), ',' ORDER BY oid)
                                         FROM pg_publication_rel WHERE prpubid = pg_publication.oid)) AS mark
       FROM pg_publication WHERE pubname = $1`,
    [publication],
  );
  return rows[0]?.mark ?? null;
}

/** The statement that makes a publication, for whoever may. What is written to partitions is told as written to their table. */
export async function publicationStatement(
  pool: pg.Pool,
  publication: string,
  tables: readonly string[],
): Promise<string> {
  const root = (await areDivided(pool, tables)) ? ' WITH (publish_via_partition_root = true)' : '';
  return `CREATE PUBLICATION ${pg.escapeIdentifier(publication)} FOR TABLE ${tables.map(quotedTable).join(', ')}${root}`;
}

/** Whether some of the tables have partitions. */
async function areDivided(pool: pg.Pool, tables: readonly string[]): Promise<boolean> {
  const { rows } = await pool.query(
    `SELECT FROM pg_class JOIN unnest($1::text[]) AS name ON pg_class.oid = to_regclass(name) WHERE relkind = 'p' LIMIT 1`,
    [tables.map(quotedTable)],
  );
  return rows.length > 0;
}
