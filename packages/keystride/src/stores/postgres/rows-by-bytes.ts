import pg from 'pg';
import { unreadable } from './value-size.ts';

/** Rows of a query, in its order. */
export interface SizedRows {
  readonly rows: pg.QueryResultRow[];
  /** What each takes, in bytes, about. */
  readonly sizes: readonly number[];
  /** Whether the answer was ended because the rows are so large: there may be more of them. */
  readonly cut: boolean;
}

/** What is wanted of a query. */
export interface MostRows {
  readonly bytes: number;
  /** Its limit: of so many there are no more. */
  readonly rows: number;
}

interface SizedQuery {
  readonly text: string;
  readonly values: unknown[];
  readonly types: pg.CustomTypesConfig;
  /** In milliseconds. */
  readonly timeoutMs: number;
}

/** What a value takes beside its text, in bytes. */
const bytesPerValue = 16;

/** Enough rows were there: what comes until the server hears of it is not looked at. */
class Enough extends Error {}

/**
 * Takes the rows of a query as they come in, until they are so large together; then `stop` is called, which is to cancel
 * the statement. At least one row is taken. An ordinary page costs no more than it did: the server is asked for nothing
 * beside the rows, and their bytes are counted where their values are read.
 */
export function rowsByBytes(
  client: Pick<pg.PoolClient, 'query'>,
  { text, values, types, timeoutMs }: SizedQuery,
  most: MostRows,
  stop: () => void,
): Promise<SizedRows> {
  const rows: pg.QueryResultRow[] = [];
  const sizes: number[] = [];
  let bytes = 0;
  let before = 0;
  let cut = false;
  const counting = countingTypes(types, (added) => {
    if (cut) throw new Enough();
    bytes += added;
  });
  return new Promise((resolve, reject) => {
    const answered = (error: Error | undefined) => {
      const ended = cut && (error instanceof Enough || isCancelled(error));
      // The rows before one that cannot be read are there, and end before it.
      if (error && rows.length > 0 && unreadable(error)) resolve({ rows, sizes, cut: true });
      else if (error && !ended) reject(error);
      else resolve({ rows, sizes, cut });
    };
    const query = new pg.Query({ text, values, types: counting }, undefined, answered);
    query.on('row', (row: pg.QueryResultRow) => {
      if (cut) return;
      rows.push(row);
      sizes.push(bytes - before);
      before = bytes;
      if (bytes < most.bytes || rows.length === most.rows) return;
      cut = true;
      stop();
    });
    client.query(Object.assign(query, { query_timeout: timeoutMs }));
  });
}

function countingTypes(types: pg.CustomTypesConfig, count: (bytes: number) => void): pg.CustomTypesConfig {
  const parserOf = (oid: number, format?: 'text' | 'binary') => {
    const parse = types.getTypeParser(oid, format) as (text: string) => unknown;
    return (text: string) => {
      count(text.length + bytesPerValue);
      return parse(text);
    };
  };
  return { getTypeParser: parserOf as typeof types.getTypeParser };
}

function isCancelled(error: Error | undefined): boolean {
  return error instanceof pg.DatabaseError && error.code === '57014';
}
