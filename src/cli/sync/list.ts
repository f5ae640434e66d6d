import type pg from 'pg';
import { count, duration, plain, table } from '../format.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { withLedger } from '../skips-ledger.ts';
import { keySql, readStreams, type Stream, withSource } from './streams.ts';

/** Rows above an offset are counted so far. */
const countedUpTo = 1_000_000;

interface Lag {
  /** Rows of the source above the offset; at most `countedUpTo` + 1, which says that there are more. */
  readonly rowsAbove: number;
  readonly secondsSinceMoved: number;
}

interface StreamLag extends Stream {
  readonly lag: Lag;
}

/** The transaction of the source that has been open for longest: its rows come when it has committed. */
interface OldestTransaction {
  readonly processId: number;
  readonly application: string | null;
  readonly seconds: number;
}

/** `keystride sync list` */
export async function listStreams({ output }: OutputOptions): Promise<void> {
  const streams = await withLedger(readStreams);
  const { lagging, oldest } = await withSource(async (client) => {
    const found: StreamLag[] = [];
    for (const stream of streams) found.push({ ...stream, lag: await lagOf(client, stream) });
    return { lagging: found, oldest: await oldestTransaction(client) };
  });
  if (output === 'json') return printJson({ streams: lagging, oldestTransaction: oldest });
  show(lagging, oldest);
}

async function lagOf(client: pg.Client, stream: Stream): Promise<Lag> {
  const { cursor, movedAt } = stream;
  const key = await keySql(client, stream);
  const above = cursor ? `where (${key.columns.join(', ')}) > (${key.values(1)})` : '';
  const { rows } = await client.query<{ rows: number }>(
    `select count(*)::int as rows from (select from ${key.table} ${above} limit ${countedUpTo + 1}) as above`,
    cursor ? [...cursor] : [],
  );
  const secondsSinceMoved = Math.max(0, Math.round((Date.now() - Date.parse(movedAt)) / 1000));
  return { rowsAbove: rows[0]?.rows ?? 0, secondsSinceMoved };
}

async function oldestTransaction(client: pg.Client): Promise<OldestTransaction | null> {
  const { rows } = await client.query<OldestTransaction>(
    `select pid as "processId", nullif(application_name, '') as application,
            extract(epoch from clock_timestamp() - xact_start)::int as seconds
       from pg_stat_activity where backend_xid is not null and xact_start is not null
      order by xact_start limit 1`,
  );
  return rows[0] ?? null;
}

function show(streams: readonly StreamLag[], oldest: OldestTransaction | null): void {
  if (streams.length === 0) return printLine('no sync has run yet');
  const rows = streams.map(({ stream, cursor, lag: { rowsAbove, secondsSinceMoved } }) => [
    plain(stream),
    cursor ? plain(cursor.join(', ')) : 'none',
    rowsAbove > countedUpTo ? `over ${count(countedUpTo)}` : count(rowsAbove),
    `${duration(secondsSinceMoved * 1000)} ago`,
  ]);
  for (const line of table(['stream', 'offset', 'rows above', 'moved'], rows)) printLine(line);
  if (oldest && oldest.seconds >= 5)
    printLine(
      `a transaction of the source has been open for ${duration(oldest.seconds * 1000)} ` +
        `(process ${oldest.processId}${oldest.application ? `, ${plain(oldest.application)}` : ''}): ` +
        'its rows are copied by the first run after its end',
    );
}
