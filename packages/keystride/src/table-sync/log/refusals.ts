import pg from 'pg';
import { quotedTable } from '../../stores/postgres/key-columns.ts';
import { familyOf } from '../../stores/postgres/table-shape.ts';
import { invalid } from '../tables.ts';
import { refuseHiddenRows } from '../unsyncable.ts';
import type { FollowedTable } from './followed-table.ts';

/** Whether a database tells its log, and to this role. @throws JobParametersInvalid with what would mend it */
export async function refuseSilentSource(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ level: string; role: string; may: boolean; standby: boolean }>(
    `SELECT current_setting('wal_level') AS level, current_user AS role, rolreplication OR rolsuper
              OR pg_has_role(current_user, (SELECT min(oid) FROM pg_roles WHERE rolname IN ('rds_replication')), 'MEMBER')
              IS TRUE AS may,
            pg_is_in_recovery() AS standby
       FROM pg_roles WHERE rolname = current_user`,
  );
  const { level = '', role = '', may = false, standby = false } = rows[0] ?? {};
  if (standby) throw invalid('the source is a standby: mode=log follows a primary');
  if (level !== 'logical')
    throw invalid(
      `the log of the source does not tell rows (wal_level is ${level}): ALTER SYSTEM SET wal_level = logical, ` +
        'and start the server again',
    );
  if (!may)
    throw invalid(`the role ${role} may not read the log of the source: ALTER ROLE ${role} REPLICATION`);
}

interface Identity {
  /** Of its schema, and its own. */
  readonly names: readonly string[];
  readonly kind: string;
  readonly persistence: string;
  readonly identity: string;
  /** The columns by which the log says which row an update or a delete is of. */
  readonly columns: readonly string[];
  readonly generated: readonly string[];
}

/** Of a table and its partitions. */
const identityQuery = `
  WITH RECURSIVE family (id) AS (
    SELECT to_regclass($1)::oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN family ON inhparent = id)
  SELECT array[nspname, relname]::text[] AS names, relkind::text AS kind, relpersistence::text AS persistence, relreplident::text AS identity,
         array(SELECT attname::text FROM pg_index, unnest(indkey::int2[]) WITH ORDINALITY AS part (attnum, place)
                 JOIN pg_attribute ON attrelid = pg_class.oid AND pg_attribute.attnum = part.attnum
                WHERE indrelid = pg_class.oid AND place <= indnkeyatts
                  AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident ELSE false END) AS columns,
         array(SELECT attname::text FROM pg_attribute
                WHERE attrelid = pg_class.oid AND attgenerated <> '' AND NOT attisdropped) AS generated
    FROM family JOIN pg_class ON pg_class.oid = id JOIN pg_namespace ON pg_namespace.oid = relnamespace
   ORDER BY id <> to_regclass($1)::oid, id`;

/** @throws JobParametersInvalid for a source whose log does not say enough, with the statement that mends it */
export async function refuseUnfollowable(pool: pg.Pool, table: FollowedTable): Promise<void> {
  const name = quotedTable(table.source);
  const { rows } = await pool.query<Identity>(identityQuery, [name]);
  if (rows.length === 0) throw invalid(`the source has no table ${table.source}`);
  for (const found of rows) refuseSilentTable(table, found);
}

/** @param found the table, or a partition of it. */
function refuseSilentTable({ source, key, columns: copied, named }: FollowedTable, found: Identity): void {
  const { names, kind, persistence, identity, columns, generated } = found;
  const name = names.map((one) => pg.escapeIdentifier(one)).join('.');
  if (kind === 'f')
    throw invalid(
      `partition ${name} of ${source} is a foreign table, and the log of the source does not have its rows: ` +
        'detach it, or use another mode',
    );
  if (persistence !== 'p') throw invalid(`${name} is unlogged: ALTER TABLE ${name} SET LOGGED`);
  if (identity !== 'f' && !key.every((column) => columns.includes(column)))
    throw invalid(
      `the log does not say which row of ${name} an update or a delete is of by (${key.join(', ')}): ` +
        `ALTER TABLE ${name} REPLICA IDENTITY ${identity === 'n' ? 'DEFAULT' : 'FULL'}`,
    );
  const computed = copied.find(({ from }) => generated.includes(from));
  if (computed)
    throw invalid(
      `column ${computed.from} of ${source} is computed there, and the log does not have it: ` +
        `leave it out by drop=${named(computed.from)}`,
    );
}

const nestedQuery = `
  WITH RECURSIVE above (id, place) AS (
    SELECT to_regclass(name)::oid, place FROM unnest($1::text[]) WITH ORDINALITY AS one (name, place)
    UNION
    SELECT inhparent, place FROM pg_inherits JOIN above ON inhrelid = id)
  SELECT above.place::int - 1 AS child, one.place::int - 1 AS parent
    FROM above JOIN unnest($1::text[]) WITH ORDINALITY AS one (name, place) ON id = to_regclass(name)::oid
   WHERE above.place <> one.place LIMIT 1`;

/** @throws JobParametersInvalid for a partition beside its table: the log tells its rows as those of the table alone */
export async function refuseNested(pool: pg.Pool, tables: readonly FollowedTable[]): Promise<void> {
  const names = tables.map(({ source }) => source);
  const { rows } = await pool.query<{ child: number; parent: number }>(nestedQuery, [names.map(quotedTable)]);
  const [found] = rows;
  if (found)
    throw invalid(
      `${names[found.child]} is a partition of ${names[found.parent]}, or the same, and is followed with it: name one of them`,
    );
}

const actionsQuery = `
  ${familyOf}
  SELECT format('its foreign key %I of %s changes rows by itself (ON DELETE or ON UPDATE): the log brings these changes too, '
                'and what the source does not change must not be changed. ALTER TABLE %s DROP CONSTRAINT %I, and add it '
                'without an action', conname, conrelid::regclass, conrelid::regclass, conname) AS why
    FROM pg_constraint
   WHERE contype = 'f' AND (conrelid IN (SELECT id FROM family) OR confrelid IN (SELECT id FROM family))
     AND (confdeltype NOT IN ('a', 'r') OR confupdtype NOT IN ('a', 'r'))
   UNION ALL
  SELECT format('its trigger %I may keep rows that the source has deleted. ALTER TABLE %s DISABLE TRIGGER %I',
                tgname, tgrelid::regclass, tgname)
    FROM pg_trigger
   WHERE tgrelid IN (SELECT id FROM family) AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 11 = 11
   LIMIT 1`;

/** @throws JobParametersInvalid for a sink that changes, or keeps, rows by itself */
export async function refuseActingSink(pool: pg.Pool, table: string): Promise<void> {
  const { rows } = await pool.query<{ why: string }>(actionsQuery, [quotedTable(table)]);
  if (rows[0]) throw invalid(`the sink ${table} cannot follow a log: ${rows[0].why}`);
  await refuseHiddenRows({ pool, table }, ['UPDATE', 'DELETE']);
}
