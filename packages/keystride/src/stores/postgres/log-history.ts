import type pg from 'pg';
import { type LogPosition, positionOf } from './log-position.ts';
import { connectionOptions, ServerClient } from './server-client.ts';

/** What a place is made of: see `LogMoment`. */
function partsOf(place: string): { readonly server: string; readonly timeLine: string } {
  const [system, timeLine = '', database] = place.split('/');
  return { server: `${system}/${database}`, timeLine };
}

/**
 * Whether the log at one place goes on from that at another: in the same server and database, or in a standby of it that was
 * promoted when it had all up to a position, so that what lies behind the position is the same in both.
 *
 * @param to where the pool leads to.
 */
export async function goesOn(
  pool: pg.Pool,
  { from, to }: { readonly from: string | null; readonly to: string },
  position: LogPosition,
): Promise<boolean> {
  if (from === null || from === to) return from === to;
  const [was, now] = [partsOf(from), partsOf(to)];
  if (was.server !== now.server) return false;
  const left = leftAt(await historyOf(pool, now.timeLine), was.timeLine);
  return left !== null && position < left;
}

/** The history of a time line, as its server keeps it. */
async function historyOf(pool: pg.Pool, timeLine: string): Promise<string> {
  // Only a connection that reads the log is told: as a file, a superuser alone may read it.
  const client = new ServerClient({ ...connectionOptions(pool), replication: 'database' } as pg.ClientConfig);
  await client.connect();
  try {
    const { rows } = await client.query<{ content: Buffer | string }>(`TIMELINE_HISTORY ${Number(timeLine)}`);
    return String(rows[0]?.content ?? '');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Where the history of a later time line says that one was left; null where it does not descend from it. */
function leftAt(history: string, timeLine: string): LogPosition | null {
  for (const line of history.split('\n')) {
    const [id, position] = line.trim().split(/\s+/u);
    if (id === timeLine && position !== undefined) return positionOf(position);
  }
  return null;
}
