import pg from 'pg';
import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../called-as.ts';
import { reasonOf } from '../explain.ts';
import { count, duration, plain, table } from '../format.ts';
import type { OutputOptions } from '../options.ts';
import { CommandError, printJson, printLine } from '../output.ts';
import { withLedger } from '../skips-ledger.ts';
import { readStreams, type Stream } from '../../ledger/streams.ts';
import { countSeconds, keySql, withSource } from './streams.ts';

/** Rows above an offset are counted so far. */
const countedUpTo = 1_000_000;

interface Lag {
  /** Rows of the source above the offset; at most `countedUpTo` + 1, which says that there are more. */
  readonly rowsAbove: number;
  readonly secondsSinceMoved: number;
}

interface StreamLag extends Stream {
  /** Null where the source could not tell: `problem` says why. */
  readonly lag: Lag | null;
  readonly problem: string | null;
}

/** The transaction of the source that has been open for longest: its rows come when it has committed. */
interface OldestTransaction {
  readonly processId: number;
  readonly application: string | null;
  readonly seconds: number;
}

/** `keystride sync list`: one stream that is broken, or a source that is away, hides none of the others. */
export async function listStreams({ output }: OutputOptions): Promise<void> {
  const streams = await withLedger(readStreams);
  const { lagging, oldest } = await withSource(async (client) => ({
    lagging: await lagsOf(client, streams),
    oldest: await oldestTransaction(client),
  })).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    return { lagging: streams.map((stream) => brokenBy(error, stream)), oldest: null };
  });
  if (output === 'json') return printJson({ streams: lagging, oldestTransaction: oldest });
  show(lagging, oldest);
}

async function lagsOf(client: pg.Client, streams: readonly Stream[]): Promise<StreamLag[]> {
  const found: StreamLag[] = [];
  for (const stream of streams) {
    try {
      found.push({ ...stream, lag: await lagOf(client, stream), problem: null });
    } catch (error) {
      found.push(brokenBy(error, stream));
    }
  }
  return found;
}

function brokenBy(error: unknown, stream: Stream): StreamLag {
  return { ...stream, lag: null, problem: problemOf(error, stream) };
}

function problemOf(error: unknown, { table: name }: Stream): string {
  if (error instanceof CommandError) return error.message;
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  if (code === '42501') return `the role may not read ${name} of the source`;
  if (code === '57014') return `counting the rows of ${name} took the source more than ${countSeconds} s`;
  return `the source cannot be asked for ${name}: ${code === '' ? reasonOf(error) : `SQLSTATE ${code}`}`;
}

async function lagOf(client: pg.Client, stream: Stream): Promise<Lag> {
  const { cursor, movedAt } = stream;
  const key = await keySql(client, stream);
  const above = cursor ? `where (${key.columns.join(', ')}) > (${key.values(1)})` : '';
  const { rows } = await client.query<{ rows: number }>(
    `select count(*)::int as rows from (select from ${key.table} ${above} limit ${countedUpTo + 1}) as above`,
    cursor ? [...cursor] : [],
  );
  return { rowsAbove: rows[0]?.rows ?? 0, secondsSinceMoved: secondsSince(movedAt) };
}

function secondsSince(time: string): number {
  return Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
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
  const rows = streams.map(({ stream, cursor, movedAt, lag }) => [
    plain(stream),
    cursor ? plain(cursor.join(', ')) : 'none',
    lag === null
      ? 'unknown'
      : lag.rowsAbove > countedUpTo
        ? `over ${count(countedUpTo)}`
        : count(lag.rowsAbove),
    `${duration((lag?.secondsSinceMoved ?? secondsSince(movedAt)) * 1000)} ago`,
  ]);
  for (const line of table(['stream', 'offset', 'rows above', 'moved'], rows)) printLine(line);
  for (const { stream, problem, told } of streams) {
    for (const line of told) printLine(`${plain(stream)}, its last run: ${plain(line, 400)}`);
    if (problem === null) continue;
    printLine(`${plain(stream)}: ${plain(problem, 400)}`);
    printLine(`  to do: put it right, or forget the stream: ${keystride} sync forget ${shellWord(stream)}`);
  }
  if (oldest && oldest.seconds >= 5)
    printLine(
      `a transaction of the source has been open for ${duration(oldest.seconds * 1000)} ` +
        `(process ${oldest.processId}${oldest.application ? `, ${plain(oldest.application)}` : ''}): ` +
        'its rows are copied by the first run after its end',
    );
}
