import type pg from 'pg';
import { failure } from '../../contract/errors.ts';

/** Whether a server follows another one, and so may show what that one had a while ago. */
export async function isStandby(asked: Pick<pg.Pool, 'query'> | pg.Client): Promise<boolean> {
  const { rows } = await asked.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  return rows[0]?.standby === true;
}

/**
 * Requires of a source that is a standby that it shows what has been read of it, or of its primary, before: older rows would
 * be written over newer ones, and what it does not have yet would never be looked for again.
 *
 * @param written how far the source was written then: see `bytesWritten`.
 * @throws Unavailable while it is behind.
 */
export async function requireReplayed(pool: pg.Pool, written: string): Promise<void> {
  const { rows } = await pool.query<{ behind: boolean | null }>(
    `SELECT pg_is_in_recovery() AND pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') < $1::numeric AS behind`,
    [written],
  );
  if (rows[0]?.behind === true)
    throw failure(
      'Unavailable',
      'the source is a standby that has not replayed yet what was read before. If it does not catch up, let ' +
        'SOURCE_DATABASE_URL lead to its primary; if it was set back for good, forget the stream (keystride sync forget)',
      { retryable: true },
    );
}
