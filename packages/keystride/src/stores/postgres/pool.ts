import pg from 'pg';
import { arrayOfText, readJson, readJsonArray, readJsonText } from './read-json.ts';
import { connectingTakesMs } from './server-client.ts';
import { SessionClient } from './session.ts';

/**
 * bigint: the text that it is by default too, without a look at each. date, timestamp and timestamptz: as text, because
 * a JavaScript Date cuts microseconds and knows a time zone. interval: the driver's object for it knows no infinity.
 */
const textTypes: readonly number[] = [20, 1082, 1114, 1184, 1186];

/** Arrays of date, timestamp, timestamptz and interval, and of numeric, whose digits a JavaScript number does not hold. */
const textArrays: readonly number[] = [1182, 1115, 1185, 1187, 1231];

/** json and jsonb, and their arrays. */
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  114: readJsonText,
  3802: readJson,
  199: readJsonArray(readJsonText),
  3807: readJsonArray(readJson),
};

/** How every connection of ours reads values. */
export const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    textTypes.includes(oid)
      ? (text: string) => text
      : (parsers[oid] ??
        pg.types.getTypeParser(
          textArrays.includes(oid) ? arrayOfText : oid,
          format,
        ))) as typeof pg.types.getTypeParser,
};

/**
 * A pool of connections whose sessions all write and read values in one way: see `SessionClient`. A connection that is
 * lost while idle is dropped and never ends the process.
 *
 * @param name shows in `pg_stat_activity`.
 */
export function createPool(connectionString: string, name: string, max = 20): pg.Pool {
  return boundedPool(connectionString, name, {
    max,
    keepAlive: true,
    // A reply that never comes (a half-open connection) must not hold a page for ever.
    query_timeout: 60_000,
    idleTimeoutMillis: 30_000,
  });
}

/** The same with other bounds. @param bounds by default, a connection may take as long as each way to its server may. */
export function boundedPool(connectionString: string, name: string, bounds: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({
    Client: SessionClient,
    connectionString,
    application_name: name,
    types,
    connectionTimeoutMillis: Math.max(5_000, connectingTakesMs(connectionString)),
    ...bounds,
  });
  pool.on('error', () => undefined);
  return pool;
}
