import type pg from 'pg';
import { duration } from '../operator/format.ts';
import { bad, type Finding, ok, warn } from '../operator/finding.ts';

/** A database of PostgreSQL that jobs work with. */
export interface Database {
  /** What people call it, or the variable with its address. */
  readonly title: string;
  readonly pool: pg.Pool;
}

/** The oldest PostgreSQL that keystride works with. */
const oldestServer = 140_000;

/** Which server it is. */
export async function serverVersion({ title, pool }: Database): Promise<Finding> {
  const { rows } = await pool.query<{ version: string; number: number; standby: boolean }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
            pg_is_in_recovery() AS standby`,
  );
  const { version = '', number = 0, standby = false } = rows[0] ?? {};
  const told = `${title} is PostgreSQL ${version}${standby ? ', a standby' : ''}`;
  return number < oldestServer ? bad('versions', told, 'Use PostgreSQL 14 or later.') : ok('versions', told);
}

/** Whether the database that jobs write to takes writes. */
export async function takesWrites({ title, pool }: Database): Promise<Finding> {
  const { rows } = await pool.query<{ refuses: boolean }>(
    `SELECT current_setting('transaction_read_only') = 'on' AS refuses`,
  );
  return rows[0]?.refuses === true
    ? bad(
        'writes',
        `${title} takes no writes: it is a standby, or read-only (default_transaction_read_only)`,
        `Let ${title} lead to the primary; with several hosts in it, target_session_attrs=read-write finds it.`,
      )
    : ok('writes', `${title} takes writes`);
}

/** Clocks that are farther apart than this are told, in milliseconds. */
const apart = { warn: 1_000, bad: 60_000 };

/**
 * The clock of the database against that of this machine.
 *
 * @param now of this machine, in milliseconds
 */
export async function databaseClock({ title, pool }: Database, now = () => Date.now()): Promise<Finding> {
  const client = await pool.connect();
  try {
    const before = now();
    const { rows } = await client.query<{ at: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at',
    );
    const after = now();
    const off = (rows[0]?.at ?? 0) - (before + after) / 2;
    // It was asked somewhere between the two.
    const sure = Math.max(0, Math.abs(off) - (after - before) / 2);
    return clockFinding(title, Math.sign(off) * sure);
  } finally {
    client.release();
  }
}

/** @param off by how much it is ahead of this machine's, in milliseconds */
export function clockFinding(title: string, off: number): Finding {
  const by = `${title}: its clock is ${duration(Math.abs(off))} ${off > 0 ? 'ahead of' : 'behind'} this machine's`;
  const todo =
    'Let both machines follow the same time servers (NTP): schedules, leases and dates go by them.';
  if (Math.abs(off) > apart.bad) return bad('clock', by, todo);
  if (Math.abs(off) > apart.warn) return warn('clock', by, todo);
  return ok('clock', `${title}: its clock agrees with this machine's`);
}

/** Connections that workers may open, and how many there are of them. */
export interface WorkerConnections {
  /** Of one worker to this database. */
  readonly connections: number;
  readonly workers: number;
}

/** Whether the server has room for the connections of all workers. */
export async function connectionsLeft(
  { title, pool }: Database,
  { connections, workers }: WorkerConnections,
): Promise<Finding> {
  const { rows } = await pool.query<{ most: number; others: number }>(
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
            count(*)::int AS others
       FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND application_name NOT LIKE 'keystride%'`,
  );
  const { most = 0, others = 0 } = rows[0] ?? {};
  const wanted = connections * Math.max(1, workers);
  const told =
    `${title}: ${Math.max(1, workers)} ${workers > 1 ? 'workers' : 'worker'} may open ${wanted} connections, ` +
    `others have ${others}, the server allows ${most}`;
  return wanted + others > most
    ? warn(
        'connections',
        told,
        'Lower KEYSTRIDE_CONNECTIONS, raise max_connections, or put a pooler in front of the server.',
      )
    : ok('connections', told);
}

interface Holder {
  readonly who: string;
  readonly seconds: number;
  readonly kind: 'transaction' | 'prepared' | 'slot';
}

/** What keeps old row versions, by how long; a slot that nobody reads has no age. */
const holders = `
  SELECT 'transaction' AS kind, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
         format('process %s%s, %s', pid, ' of ' || nullif(application_name, ''), state) AS who
    FROM pg_stat_activity
   WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL
     AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
     AND xact_start < clock_timestamp() - make_interval(secs => $1)
   UNION ALL
  SELECT 'prepared', extract(epoch FROM clock_timestamp() - prepared)::float8, format('prepared transaction %L', gid)
    FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - make_interval(secs => $1)
   UNION ALL
  SELECT 'slot', 0, format('replication slot %I%s', slot_name, ', which nobody reads')
    FROM pg_replication_slots WHERE NOT active
   ORDER BY seconds DESC`;

const todoFor: Readonly<Record<Holder['kind'], string>> = {
  transaction: 'End it where it was begun, or: SELECT pg_terminate_backend(PROCESS)',
  prepared: 'Decide it: COMMIT PREPARED or ROLLBACK PREPARED, with its name.',
  slot: "Let its reader come back, or: SELECT pg_drop_replication_slot('NAME')",
};

/**
 * Who keeps the database from cleaning up behind rows that are written over: tables that a job updates grow, and syncs
 * look again at what they have seen.
 *
 * @param seconds transactions older than this are told
 */
export async function horizonHolders({ title, pool }: Database, seconds = 300): Promise<readonly Finding[]> {
  const { rows } = await pool.query<Holder>(holders, [seconds]);
  if (rows.length === 0) return [ok('horizon', `${title}: nothing holds old row versions back`)];
  return rows.map(({ kind, who, seconds: age }) =>
    warn(
      'horizon',
      `${title}: ${who} holds old row versions back${kind === 'slot' ? '' : `, for ${duration(age * 1000)}`}`,
      todoFor[kind],
    ),
  );
}

/** Whether the role sees what others do on its server, where limits of health ask for it. */
export async function mayWatch({ title, pool }: Database, wanted: boolean): Promise<readonly Finding[]> {
  if (!wanted) return [];
  const { rows } = await pool.query<{ role: string; may: boolean }>(
    `SELECT current_user AS role, pg_has_role('pg_monitor', 'USAGE') AS may`,
  );
  const { role = '', may = false } = rows[0] ?? {};
  return may
    ? []
    : [
        warn(
          'grants',
          `${title}: ${role} does not see replicas and sessions of others, which KEYSTRIDE_HEALTH_… asks for`,
          `As a superuser: GRANT pg_monitor TO ${role}`,
        ),
      ];
}
