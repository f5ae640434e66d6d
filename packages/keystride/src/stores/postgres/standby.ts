import type pg from 'pg';
import { failure } from '../../contract/errors.ts';
import { codeOf } from '../causes.ts';
import { bytesWritten } from './horizon.ts';

/** Whether a server follows another one, and so may show what that one had a while ago. */
export async function isStandby(asked: Pick<pg.Pool, 'query'> | pg.Client): Promise<boolean> {
  const { rows } = await asked.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  return rows[0]?.standby === true;
}

/**
 * How far a source has been written, or has replayed what its primary wrote, in bytes: what is read now is of before that.
 * Null where the server has no such place to tell, as some that only speak like PostgreSQL: items are skipped there all the
 * same.
 */
export async function positionOfSource(pool: pg.Pool): Promise<string | null> {
  try {
    const { rows } = await pool.query<{ written: string }>(`SELECT ${bytesWritten} AS written`);
    return rows[0]?.written ?? null;
  } catch (error) {
    if (!cannotTell.includes(codeOf(error))) throw error;
    return null;
  }
}

/** Not supported, no such function, no right to it. */
const cannotTell: readonly string[] = ['0A000', '42883', '42501'];

/**
 * Requires of a source that is a standby that it shows what has been read of it, or of its primary, before: older rows would
 * be written over newer ones, and what it does not have yet would never be looked for again.
 *
 * @param written how far the source was written then: see `bytesWritten`.
 * @throws Unavailable while it is behind.
 */
export async function requireReplayed(pool: pg.Pool, written: string): Promise<void> {
  if (await isBehind(pool, written))
    throw failure(
      'Unavailable',
      'the source is a standby that has not replayed yet what was read before. If it does not catch up, let ' +
        'SOURCE_DATABASE_URL lead to its primary; if it was set back for good, forget the stream (keystride sync forget)',
      { retryable: true },
    );
}

/**
 * Requires the same for items that are read again because they were skipped: the row of before is not the one that was.
 *
 * @param since `positionOfSource` when they were skipped; null where nobody has noted it.
 * @throws Unavailable while it is behind; RedriveRefused for a standby where nobody knows.
 */
export async function requireSkipped(pool: pg.Pool, since: readonly (string | null)[]): Promise<void> {
  const noted = since.filter((position) => position !== null);
  if (noted.length < since.length && (await isStandby(pool)))
    throw failure(
      'RedriveRefused',
      'the source is a standby, and these skips do not say how far it was when they were made (a release before this one, ' +
        'or a step that works in sets, has made them): it may show older rows than those that were skipped. Let the address ' +
        'of the source lead to its primary, and redrive again',
    );
  const last = noted.reduce((one, other) => (BigInt(one) > BigInt(other) ? one : other), '0');
  if (await isBehind(pool, last))
    throw failure(
      'Unavailable',
      'the source is a standby that has not replayed yet what was read when these items were skipped. If it does not catch ' +
        'up, let the address of the source lead to its primary',
      { retryable: true },
    );
}

async function isBehind(pool: pg.Pool, written: string): Promise<boolean> {
  const { rows } = await pool.query<{ behind: boolean | null }>(
    `SELECT pg_is_in_recovery() AND pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') < $1::numeric AS behind`,
    [written],
  );
  return rows[0]?.behind === true;
}
