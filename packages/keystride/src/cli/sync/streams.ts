import pg from 'pg';
import { loadSettings } from '../../dev/settings.ts';
import { type Cursor, decodeCursor } from '../../contract/cursor.ts';
import { SessionClient } from '../../stores/postgres/session.ts';
import { migration, tableParts } from '../../stores/postgres/sql.ts';
import { databaseProblem } from '../explain.ts';
import { CommandError } from '../output.ts';
import { run } from '../skips-ledger.ts';
import { keystride } from '../called-as.ts';

/** A stream as the ledger has it. */
export interface Stream {
  readonly stream: string;
  readonly cursor: Cursor | null;
  readonly table: string;
  readonly key: readonly string[];
  readonly movedAt: string;
  readonly sweptAt: string | null;
  /** What the last run has told of what had changed without a row being written. */
  readonly told: readonly string[];
}

/** How long one question may take the source, in seconds: then it ends the query itself. */
export const countSeconds = 30;

/** Connects to the service's database, the source, works with it alone, and closes. */
export async function withSource<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const { sourceDatabaseUrl } = loadSettings(process.env, ['sourceDatabaseUrl']);
  const client = new SessionClient({
    connectionString: sourceDatabaseUrl,
    application_name: 'keystride sync',
    connectionTimeoutMillis: 5_000,
    statement_timeout: countSeconds * 1000,
    query_timeout: 2 * countSeconds * 1000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw error instanceof CommandError
      ? error
      : databaseProblem(error, sourceDatabaseUrl, 'SOURCE_DATABASE_URL');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The streams that have begun, by name. */
export async function readStreams(client: pg.Client): Promise<Stream[]> {
  const rows = await run(
    client,
    migration
      .selectFrom('keystride.stream_offset')
      .select(['stream', 'cursor', 'source', 'key', 'updated_at', 'swept_at', 'shape'])
      .where('source', 'is not', null)
      .orderBy('stream'),
  );
  return rows.map((row) => ({
    stream: row.stream,
    cursor: decodeCursor(row.cursor),
    table: row.source ?? '',
    key: row.key as string[],
    movedAt: isoTime(row.updated_at) ?? '',
    sweptAt: isoTime(row.swept_at),
    told: (row.shape as { readonly told?: readonly string[] } | null)?.told ?? [],
  }));
}

/** The driver of the command line reads times as dates. */
function isoTime(value: unknown): string | null {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' ? value : null;
}

/** @throws CommandError of type NotFound */
export async function readStream(client: pg.Client, name: string): Promise<Stream> {
  const streams = await readStreams(client);
  const found = streams.find(({ stream }) => stream === name);
  if (found) return found;
  throw new CommandError(
    { what: `no sync has run as ${name}`, todo: `See which streams there are: ${keystride} sync list` },
    { type: 'NotFound', details: { stream: name } },
  );
}

/** A stream's key as SQL: its first columns, and as many parameters of their types. */
interface KeySql {
  readonly table: string;
  readonly columns: readonly string[];
  /** `$1::bigint, …` from that parameter on. */
  values(from: number): string;
}

/** Looks the types of a key's first columns up in the source. */
export async function keySql(client: pg.Client, { table, key }: Stream, width = key.length): Promise<KeySql> {
  const quotedTable = tableParts(table).map(pg.escapeIdentifier).join('.');
  const { rows } = await client.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = to_regclass($1) and attnum > 0 and not attisdropped`,
    [quotedTable],
  );
  const types = new Map(rows.map(({ name, type }) => [name, type]));
  const names = key.slice(0, width);
  if (names.some((name) => !types.has(name)))
    throw new CommandError({
      what: `the source has no table ${table} with the columns ${key.join(', ')} any more`,
      todo: `Check SOURCE_DATABASE_URL, or forget the stream: ${keystride} sync forget STREAM`,
    });
  return {
    table: quotedTable,
    columns: names.map((name) => pg.escapeIdentifier(name)),
    values: (from) => names.map((name, index) => `$${from + index}::text::${types.get(name)}`).join(', '),
  };
}
