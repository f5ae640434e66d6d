import { callbackify } from 'node:util';
import pg from 'pg';
import { type PostgresAddress, readAddress, type WantedSession, type Way } from './address.ts';
import { isRefused, NoSuchSession } from './errors.ts';

/** Whether a session is of a kind. */
const suits: Readonly<Record<Exclude<WantedSession, 'any' | 'prefer-standby'>, string>> = {
  'read-write': `current_setting('transaction_read_only') = 'off'`,
  'read-only': `current_setting('transaction_read_only') = 'on'`,
  primary: 'NOT pg_is_in_recovery()',
  standby: 'pg_is_in_recovery()',
};

/**
 * A connection to the server that an address leads to as libpq reads it: several hosts, `target_session_attrs`, `sslmode`
 * and its certificates. Address, certificates and the file of its credentials are read anew for each connection.
 *
 * The driver connects to one host in one way. Where there are several, each is tried by a connection that is closed
 * again, and the first that is let in is taken.
 */
export class ServerClient extends pg.Client {
  readonly #address: PostgresAddress | undefined;
  readonly #unreadable: unknown;

  constructor({ connectionString, ...options }: pg.ClientConfig = {}) {
    let address: PostgresAddress | undefined;
    let unreadable: unknown;
    try {
      if (connectionString !== undefined) address = readAddress(connectionString);
    } catch (error) {
      // A pool makes its connections where nobody would catch this.
      unreadable = error;
    }
    super(address ? clientOptions(address, options, address.hosts[0][0]) : options);
    this.#address = address;
    this.#unreadable = unreadable;
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: ((err: Error) => void) | ((err: null, client: pg.Client) => void)): void;
  override connect(callback?: (error: never, client: pg.Client) => void): Promise<pg.Client> | void {
    if (!callback) return this.establish();
    callbackify(() => this.establish())(callback as (error: Error | null, client: pg.Client) => void);
  }

  /** Connects to whichever of the hosts lets us in. */
  protected async establish(): Promise<pg.Client> {
    // A pool listens once it has the connection. One that is lost before then fails what was asked, and not the process.
    this.on('error', () => undefined);
    if (this.#unreadable !== undefined) throw this.#unreadable;
    if (this.#address && isChoice(this.#address)) {
      const way = await choose(this.#address);
      // Whoever waited for us may have given up meanwhile, and has closed what was not open yet.
      if (this.connection.stream.destroyed) throw new Error('timeout exceeded when trying to connect');
      aim(this, way);
    }
    return super.connect();
  }

  /** A connection that is not made yet, to the same server in the same way: what it cancels is a statement there. */
  another(options: pg.ClientConfig): pg.Client {
    if (!this.#address) return new pg.Client(options);
    return aim(new pg.Client(clientOptions(this.#address, options, this)), this);
  }
}

/** Lets a client that has not connected yet do so in this way, whatever it was made for. */
function aim(
  client: pg.Client,
  { host, port, ssl }: Omit<Way, 'ssl'> & Pick<pg.ClientConfig, 'ssl'>,
): pg.Client {
  Object.assign(client.connection, { ssl });
  return Object.assign(client, { host, port, ssl });
}

function clientOptions(
  { connectionString }: PostgresAddress,
  options: pg.ClientConfig,
  { ssl }: Pick<pg.ClientConfig, 'ssl'>,
): pg.ClientConfig {
  return { ...options, connectionString, ssl };
}

/** The options of a pool's connections. A pool keeps its password from being listed. */
export function connectionOptions({ options }: pg.Pool): pg.PoolConfig {
  const { password } = options;
  return { ...options, ...(password === undefined ? {} : { password }) };
}

/**
 * The driver's options for a connection of another kind than ours, to the server that an address leads to now.
 *
 * @throws whatever keeps it from being found
 */
export async function driverOptions(connectionString: string): Promise<pg.ClientConfig> {
  const address = readAddress(connectionString);
  const { host, port, ssl } = isChoice(address) ? await choose(address) : address.hosts[0][0];
  const url = new URL(address.connectionString);
  if (!host.startsWith('/'))
    Object.assign(url, { hostname: host.includes(':') ? `[${host}]` : host, port: String(port) });
  return { connectionString: url.href, ssl };
}

/** How long a connection may take to be made, in milliseconds: as long as each of its ways may. */
export function connectingTakesMs(connectionString: string): number {
  try {
    const { hosts, patienceMs } = readAddress(connectionString);
    return patienceMs * hosts.flat().length;
  } catch {
    return 0;
  }
}

function isChoice({ hosts, wanted }: PostgresAddress): boolean {
  return hosts.flat().length > 1 || wanted !== 'any';
}

/** @throws NoSuchSession; else what the host answered that is to blame */
async function choose(address: PostgresAddress): Promise<Way> {
  const kinds = address.wanted === 'prefer-standby' ? (['standby', 'any'] as const) : [address.wanted];
  const failures: unknown[] = [];
  for (const kind of kinds)
    for (const ways of address.hosts) {
      const found = await firstOf(address, ways, kind, failures);
      if (found) return found;
    }
  // Somebody who answered says more than one who did not.
  throw failures.find((error) => error instanceof pg.DatabaseError) ?? failures.at(-1);
}

/** @throws what a host answers that knows us and lets us not in: libpq does not ask the next one then */
async function firstOf(
  address: PostgresAddress,
  ways: readonly Way[],
  kind: keyof typeof suits | 'any',
  failures: unknown[],
): Promise<Way | undefined> {
  let refusal: unknown;
  for (const way of ways)
    try {
      await tryOut(address, way, kind);
      return way;
    } catch (error) {
      failures.push(error);
      if (isRefused(error)) refusal = error;
    }
  if (refusal !== undefined) throw refusal;
  return undefined;
}

async function tryOut(address: PostgresAddress, way: Way, kind: keyof typeof suits | 'any'): Promise<void> {
  const within = { connectionTimeoutMillis: address.patienceMs, query_timeout: address.patienceMs };
  const options = { application_name: 'keystride', ...within };
  const client = aim(new pg.Client(clientOptions(address, options, way)), way);
  client.on('error', () => undefined);
  try {
    await client.connect();
    if (kind === 'any') return;
    const { rows } = await client.query<{ suits: boolean }>(`SELECT ${suits[kind]} AS suits`);
    if (rows[0]?.suits === true) return;
    throw new NoSuchSession(`${way.host}:${way.port} gives no session that is ${kind}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}
