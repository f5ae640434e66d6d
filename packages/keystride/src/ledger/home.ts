import { sql } from 'kysely';
import pg from 'pg';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/**
 * Which ledger this is, and where: its id, its server and its database. A restore in place and a promoted standby are at
 * home; a copy has the id, and is somewhere else.
 */
export async function ledgerHome(ledger: Asked): Promise<string> {
  const home = sql<string>`(
    select concat_ws('/', ledger.id, system_identifier, database.oid)
      from keystride.ledger as ledger, pg_control_system(), pg_database as database
     where database.datname = current_database())`;
  const [row] = await ledger.run(ledgerSql.selectNoFrom(home.as('home')));
  return row?.home ?? '';
}

/** Whose something is that was named after a ledger. */
export type Ownership =
  | { readonly is: 'ours' }
  /** The ledger has been given another id since. */
  | { readonly is: 'anothers' }
  /** It may be that of the ledger that this one is a copy of: in words, with what to do. */
  | { readonly is: 'doubtful'; readonly why: string };

/**
 * Tells whose the replication slot of a stream is. What is called after a ledger's id would be read, moved and dropped by
 * every copy of it.
 *
 * @param made the ledger that has made it, as `ledgerHome` told it then; undefined where that is not known.
 * @param now as it tells it now.
 */
export function ownershipOf(stream: string, made: string | undefined, now: string): Ownership {
  if (made === undefined || made === now) return { is: 'ours' };
  const [[id, ...from], [present, ...at]] = [made.split('/'), now.split('/')];
  if (id !== present) return { is: 'anothers' };
  return {
    is: 'doubtful',
    why:
      `the ledger is a copy, or was moved: ${stream} was followed from server and database ${from.join('/')}, and this is ` +
      `${at.join('/')}. Its replication slot may be that of the original, and is left alone. If the original is there: ` +
      'UPDATE keystride.ledger SET id = gen_random_uuid(), and the next run copies everything again, by a slot of its own. ' +
      'If this one has taken its place: ' +
      `UPDATE keystride.stream_offset SET shape = shape #- '{log,home}' WHERE stream = ${pg.escapeLiteral(stream)}, and it goes on`,
  };
}
