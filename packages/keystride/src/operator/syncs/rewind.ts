import type pg from 'pg';
import type { Authorship } from '../../contract/audit.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { rewindStream as rewind, type Stream } from '../../ledger/streams.ts';
import { keystride } from '../called-as.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import { withLedger } from '../ledger.ts';
import { keySql, readStream, withSource } from './streams.ts';

/** Where the offset of a stream was and is; null for the start. */
export interface Rewound {
  readonly before: Cursor | null;
  readonly cursor: Cursor | null;
}

/**
 * Sets a stream back. A run in flight does not move the offset after that.
 *
 * @param from the first key to copy again, its first columns at least; empty for the start
 * @throws CommandError when there is no such stream, or that is ahead of its offset
 */
export async function rewindStream(
  name: string,
  from: readonly string[],
  author: Authorship,
): Promise<Rewound> {
  const stream = await withLedger((ledger) => readStream(ledger, name));
  const cursor = from.length > 0 ? await withSource((client) => keyBefore(client, stream, from)) : null;
  await withLedger((ledger) => rewind(ledger, name, cursor, author));
  return { before: stream.cursor, cursor };
}

/**
 * The last key before the first one to copy again; null when there is none.
 *
 * @throws CommandError when that is ahead of the offset: what lies between would never be copied.
 */
async function keyBefore(client: pg.Client, stream: Stream, from: readonly string[]): Promise<Cursor | null> {
  if (from.length > stream.key.length) throw refused(stream, `its key is (${stream.key.join(', ')})`);
  const given = await keySql(client, stream, from.length);
  const whole = await keySql(client, stream);
  const list = (columns: readonly string[], suffix = '') =>
    columns.map((column) => `${column}${suffix}`).join(', ');
  const { rows } = await client.query<{ key: string[] }>(
    `select array[${list(whole.columns, '::text')}] as key from ${given.table}
      where (${list(given.columns)}) < (${given.values(1)}) order by ${list(whole.columns, ' desc')} limit 1`,
    [...from],
  );
  const before = rows[0] ? cursorOf(rows[0].key) : null;
  if (before && !(await isBack(client, stream, before)))
    throw refused(stream, 'that is ahead of its offset, and what lies between would not be copied');
  return before;
}

async function isBack(client: pg.Client, stream: Stream, cursor: Cursor): Promise<boolean> {
  if (!stream.cursor) return false;
  const { values } = await keySql(client, stream);
  const { rows } = await client.query<{ back: boolean }>(
    `select (${values(1)}) <= (${values(1 + cursor.length)}) as back`,
    [...cursor, ...stream.cursor],
  );
  return rows[0]?.back === true;
}

function refused({ stream }: Stream, why: string): CommandError {
  return new CommandError(
    { what: `${stream} cannot be rewound to there: ${why}`, todo: `See its offset: ${keystride} sync list` },
    { exitCode: exitCodes.usage, type: 'RewindRefused' },
  );
}
