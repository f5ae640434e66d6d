import pg from 'pg';
import { ToldError } from 'keystride';
import { safeMessage } from 'keystride/command';
import { SessionClient } from 'keystride/postgres';

/** What every kind of demo data can be asked for. */
export interface DemoDataOptions {
  databaseUrl: string;
  /** Rows of the main table. */
  count: number;
  /** The same seed gives the same rows. @default 'keystride' */
  seed?: string | number;
  /** Empties the tables first. @default false */
  reset?: boolean;
  /** Called after each batch with the rows done and to do. */
  onProgress?: (done: number, total: number) => void;
}

/** The seed where nobody has chosen one. */
export const defaultSeed = 'keystride';

/** Rows a statement: large enough to cost nothing a row, small enough to show progress. */
const batchRows = 100_000;

const undefinedTable = '42P01';

/**
 * Opens a database for filling it.
 * @param name what the database is to people: `the source database`
 * @throws Error naming the database without credentials; when tables are missing, what to do
 */
export async function fillDatabase<Made>(
  name: string,
  databaseUrl: string,
  fill: (client: pg.Client) => Promise<Made>,
): Promise<Made> {
  const client = new SessionClient({
    connectionString: databaseUrl,
    application_name: 'keystride demo-data',
  });
  // A server that goes away reaches us as the failed statement.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await fill(client);
  } catch (error) {
    throw explain(error, `${name} ${client.host}:${client.port}/${client.database ?? ''}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Calls `insert` for the numbers from 1 to `total`, a batch at a time, each its own transaction. */
export async function inBatches(
  total: number,
  insert: (first: number, last: number) => Promise<unknown>,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  for (let done = 0; done < total;) {
    const last = Math.min(done + batchRows, total);
    await insert(done + 1, last);
    done = last;
    onProgress?.(done, total);
  }
}

/** @throws ToldError unless it is a positive whole number */
export function refuseImpossibleCount(count: number, of: string): void {
  if (!(Number.isSafeInteger(count) && count > 0))
    throw new ToldError(`The number of ${of} must be a positive whole number, not ${count}`);
}

function explain(error: unknown, place: string): Error {
  const advice =
    error instanceof pg.DatabaseError && error.code === undefinedTable
      ? ': its tables are missing, run `npx keystride migrate` first'
      : '';
  return new ToldError(`Cannot fill ${place}${advice} (${safeMessage(error)})`, { cause: error });
}
