import { callbackify } from 'node:util';
import pg from 'pg';
import { classifyPostgres } from './errors.ts';
import { ServerClient } from './server-client.ts';
import { failTooLarge } from './value-size.ts';
import { ToldError } from '../../contract/errors.ts';

// A Date that is a parameter is written in UTC: in the zone of the process, the seconds of its old offsets were lost.
pg.defaults.parseInputDatesAsUTC = true;

/** A session of which nobody could say how it writes and reads values. */
export class UnusableSession extends ToldError {
  override readonly name = 'UnusableSession';
}

/**
 * What decides how a value becomes text and a text a value, what a statement means, or which of its rows are found. A
 * server, a database or a role may have any of them set otherwise (`ALTER ROLE … SET datestyle = 'SQL, DMY'`). Nothing that we read or write depends
 * on `lc_numeric`, `lc_time` or `xmlbinary`. Left alone because whoever set them meant it: `row_security`,
 * `statement_timeout`, `default_transaction_read_only`, `session_replication_role`.
 */
export const pinned: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  array_nulls: 'on',
  xmloption: 'content',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',
  default_transaction_isolation: 'read committed',
  // Above it, a GIN index leaves out rows by chance.
  gin_fuzzy_search_limit: '0',
};

/** What would end a session or a transaction of ours at a time of its own. Older servers do not have them. */
const unbounded: Readonly<Record<string, string>> = { idle_session_timeout: '0', transaction_timeout: '0' };

/** What is derived from the setting of the role or the database, as SQL. */
const derived: Readonly<Record<string, string>> = {
  // The schemas that it names, for the names of tables, and PostgreSQL's own before them: an operator, a function or a
  // type of another schema never takes the place of a built-in one.
  search_path: `ltrim(regexp_replace(reset_val, '(^|,) *("pg_catalog"|pg_catalog) *(?=,|$)', '', 'gi'), ', ')`,
  // What the ledger has been told has committed must be on the disk.
  synchronous_commit: `CASE reset_val WHEN 'off' THEN 'local' ELSE reset_val END`,
};

/**
 * A connection whose session writes and reads values in one way, whatever its server, database or role have set.
 *
 * A session that is this connection's is set once. Behind a pooler that gives each transaction another session nothing is
 * set for good, for others would find it there: each transaction sets it for itself, in the message that begins it, and
 * a statement outside of any gets one.
 */
export class SessionClient extends ServerClient {
  constructor(config?: pg.ClientConfig) {
    super(config);
    failTooLarge(this);
  }

  /** @throws UnusableSession when the server does not let a session say how values are written. */
  protected override async establish(): Promise<pg.Client> {
    await super.establish();
    try {
      const ofEach = await pin(this);
      if (ofEach !== undefined) this.query = settingEach(this, ofEach);
    } catch (error) {
      await this.end().catch(() => undefined);
      throw error;
    }
    return this;
  }
}

interface Setting {
  readonly name: string;
  readonly wanted: string | null;
  readonly value: string;
  readonly pooled: boolean;
  readonly encoding: string;
}

/**
 * Sets what a session needs.
 *
 * @returns what each transaction has to begin with instead, where the session is not ours.
 */
async function pin(client: pg.Client): Promise<string | undefined> {
  const settings = await readSettings(client);
  const asked = Object.keys(pinned).find((name) => !settings.some((setting) => setting.name === name));
  const refused = settings.find(({ wanted, value }) => wanted !== null && wanted !== value);
  if (asked ?? refused)
    throw unusable(client, asked ? `it has no ${asked}` : `${refused?.name} stays "${refused?.value}"`);
  if (settings[0]?.encoding === 'SQL_ASCII')
    throw unusable(client, 'its database is of the encoding SQL_ASCII, so nobody knows what its bytes mean');
  if (!settings[0]?.pooled) return undefined;
  const each = settings.map(
    ({ name, value }) => `pg_catalog.set_config(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)}, true)`,
  );
  return `SELECT ${each.join(', ')}`;
}

async function readSettings(client: pg.Client): Promise<readonly Setting[]> {
  try {
    // Several statements of one message are answered by several results, which the driver's types do not know.
    const results = (await client.query(
      settingAll(processIdOf(client)),
    )) as unknown as pg.QueryResult<Setting>[];
    return results[1]?.rows ?? [];
  } catch (error) {
    if (classifyPostgres(error)?.decision !== 'fail') throw error;
    throw unusable(client, 'it refuses to be asked', error);
  }
}

/** The session that answered when this connection was made: of a pooler that is nobody's. */
function processIdOf(client: pg.Client): number {
  return Number((client as { processID?: unknown }).processID ?? 0);
}

function settingAll(processId: number): string {
  const given = Object.entries({ ...pinned, ...unbounded }).map(
    ([name, value]) => `(${pg.escapeLiteral(name)}, ${pg.escapeLiteral(value)})`,
  );
  const cases = Object.entries(derived).map(([name, sql]) => `WHEN '${name}' THEN ${sql}`);
  const names = Object.keys(derived).map((name) => `('${name}', NULL)`);
  // The first statement keeps operators of other schemas out of the second. Both are one transaction.
  return `SELECT pg_catalog.set_config('search_path', 'pg_catalog', true);
    SELECT name, wanted, current_setting('server_encoding') AS encoding, pg_backend_pid() <> ${processId} AS pooled,
           set_config(name, CASE name ${cases.join(' ')} ELSE wanted END, pg_backend_pid() <> ${processId}) AS value
      FROM pg_settings JOIN (VALUES ${[...given, ...names].join(', ')}) AS each (name, wanted) USING (name)`;
}

function unusable({ host, port, database }: pg.Client, why: string, cause?: unknown): UnusableSession {
  return new UnusableSession(
    `the session of ${host}:${port}/${database} cannot be set to write and read values in one way: ${why}. ` +
      'Connect to a PostgreSQL whose encoding is UTF8 or another that it can convert, directly or through a pooler that passes on what is set.',
    { cause },
  );
}

type Asked = string | pg.QueryConfig;

/** The `query` of a client, of which each transaction begins with these settings. */
function settingEach(client: pg.Client, settings: string): pg.Client['query'] {
  const send = client.query.bind(client) as (asked: Asked, values?: unknown[]) => Promise<pg.QueryResult>;
  const ask = async (asked: Asked, values?: unknown[]): Promise<pg.QueryResult> => {
    if (client.getTransactionStatus() !== 'I') return send(asked, values);
    const text = typeof asked === 'string' ? asked : asked.text;
    if (/^\s*begin\b/iu.test(text))
      return send(text.replace(/^\s*begin\b[^;]*/iu, (begin) => `${begin}; ${settings}`));
    await send(`BEGIN ISOLATION LEVEL READ COMMITTED; ${settings}`);
    try {
      const result = await send(asked, values);
      await send('COMMIT');
      return result;
    } catch (error) {
      await send('ROLLBACK').catch(() => undefined);
      throw error;
    }
  };
  // One after another: a statement that nobody waited for must not find itself in the transaction of the next.
  let last: Promise<unknown> = Promise.resolve();
  const query = (asked: Asked | pg.Submittable, values?: unknown, callback?: unknown) => {
    // What submits itself answers for itself. It is of a transaction that somebody has begun.
    if (typeof asked === 'object' && 'submit' in asked) return send(asked as unknown as Asked);
    const done = typeof values === 'function' ? values : callback;
    const result = last.then(() => ask(asked, Array.isArray(values) ? values : undefined));
    last = result.catch(() => undefined);
    if (typeof done !== 'function') return result;
    callbackify(() => result)(done as (error: Error | null, result: pg.QueryResult) => void);
    return undefined;
  };
  return query as pg.Client['query'];
}
