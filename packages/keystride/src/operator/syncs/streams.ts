import pg from 'pg';
import { loadSettings } from '../../dev/settings.ts';
import { SessionClient } from '../../stores/postgres/session.ts';
import type { Asked } from '../../ledger/ledger.ts';
import { readStreams, type Stream } from '../../ledger/streams.ts';
import { tableParts } from '../../stores/postgres/sql.ts';
import { databaseProblem } from '../explain.ts';
import { CommandError } from '../command-error.ts';
import { keystride } from '../called-as.ts';

/** How long one question may take the source, in seconds: then it ends the query itself. */
export const countSeconds = 30;

/** Connects to the source database, works with it alone, and closes. */
export async function withSource<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const { sourceDatabaseUrl } = loadSettings(process.env, ['sourceDatabaseUrl']);
  const client = new SessionClient({
    connectionString: sourceDatabaseUrl,
    application_name: 'keystride sync',
    connectionTimeoutMillis: 5_000,
    statement_timeout: countSeconds * 1000,
    query_timeout: 2 * countSeconds * 1000,
  });
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

/** @throws CommandError of type NotFound */
export async function readStream(ledger: Asked, name: string): Promise<Stream> {
  const streams = await readStreams(ledger);
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
