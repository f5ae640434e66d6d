import { sql } from 'kysely';

/** A time of a column as programs read it: `2027-01-31T02:00:00.000Z`, in UTC whatever the session's zone is. */
export function isoTime<Type extends string | null = string | null>(column: string) {
  return sql<Type>`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
