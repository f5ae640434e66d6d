import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { ToldError } from '../../contract/told-error.ts';

/** How one connection may be made: to one host, encrypted in one way or not at all. */
export interface Way {
  readonly host: string;
  readonly port: number;
  readonly ssl: false | tls.ConnectionOptions;
}

/** Those to one host, in the order in which they are tried. */
export type Ways = readonly [Way, ...Way[]];

/** The sessions that `target_session_attrs` asks for. */
export type WantedSession = (typeof wantedSessions)[number];

/** An address of PostgreSQL, with what libpq would make of its hosts and of its parameters. */
export interface PostgresAddress {
  /** For the driver, with one of the hosts, and without what is said here. */
  readonly connectionString: string;
  /** The hosts in their order, and of each the ways to it in theirs. */
  readonly hosts: readonly [Ways, ...Ways[]];
  readonly wanted: WantedSession;
  /** How long a host may take to let us in, in milliseconds, before the next one is asked. */
  readonly patienceMs: number;
}

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
const wantedSessions = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;

type SslMode = (typeof sslModes)[number];

/** What libpq knows and we do not: to pass over one of these would do less than was asked for. */
const unsupported: Readonly<Record<string, RegExp>> = {
  channel_binding: /^require$/u,
  gssencmode: /^require$/u,
  load_balance_hosts: /^random$/u,
  sslsni: /^0$/u,
  hostaddr: /./u,
  host: /,/u,
  passfile: /./u,
  require_auth: /./u,
  requirepeer: /./u,
  service: /./u,
  sslcrl: /./u,
  sslcrldir: /./u,
};

/** What is said here, and is nothing to the driver. */
const ours =
  /^(ssl|sslmode|sslcert|sslkey|sslpassword|sslrootcert|ssl_(min|max)_protocol_version|target_session_attrs|connect_timeout|credentials_file|uselibpqcompat|channel_binding|gssencmode|load_balance_hosts|sslsni)$/u;

/** The parameter by which an address says which file its user and password are to be read from: see `filedSettings`. */
const credentialsFile = 'credentials_file';

const localHost = /^(localhost|127(\.\d{1,3}){3}|::1|\/.*)$/u;

interface Parts {
  readonly scheme: string;
  readonly user: string;
  readonly hosts: readonly string[];
  readonly path: string;
  readonly parameters: URLSearchParams;
}

/** The address cannot be read in a way that nobody could misunderstand. It names no value of it. */
class Unreadable extends ToldError {
  override readonly name = 'Unreadable';
}

/**
 * Why an address cannot be what libpq would make of it, in words that continue the name of its variable; undefined where
 * it can. No file is looked at.
 */
export function addressProblem(url: string): string | undefined {
  try {
    const parts = partsOf(url);
    encryptionOf(parts.parameters, '');
    wantedOf(parts.parameters);
    for (const host of parts.hosts) if (!URL.canParse(`http://${host}/`)) throw new Unreadable(notEncoded);
    return undefined;
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    throw error;
  }
}

const notEncoded =
  'cannot be read; in its user and password write / as %2F, ? as %3F, # as %23, @ as %40, and : as %3A';

/** The hosts of an address, each with its port: `db:5432`. */
export function hostsOf(url: string): string[] {
  return partsOf(url).hosts.map((host) => {
    const { host: name, port } = hostAndPort(host);
    return `${name.includes(':') ? `[${name}]` : name}:${port}`;
  });
}

/** @throws ToldError; whatever the file system answers about a certificate */
export function readAddress(url: string): PostgresAddress {
  const parts = partsOf(url);
  const { parameters } = parts;
  const given = parameters.get('host');
  const hosts = (given === null ? parts.hosts : [encodeURIComponent(given)]).map((text) => {
    const { host, port } = hostAndPort(text);
    return encryptionOf(parameters, host).map((ssl) => ({ host, port, ssl: ssl && certificatesOf(ssl) }));
  });
  const kept = new URLSearchParams([...parameters].filter(([name]) => !ours.test(name)));
  const query = kept.size === 0 ? '' : `?${kept.toString()}`;
  return {
    connectionString: `${parts.scheme}${userOf(parts)}${parts.hosts[0] ?? ''}${parts.path}${query}`,
    hosts: hosts as unknown as PostgresAddress['hosts'],
    wanted: wantedOf(parameters),
    patienceMs: 1_000 * (Number(parameters.get('connect_timeout')) || 5),
  };
}

/** An address whose user and password are read anew, for each connection, from the file that it was read from. */
export function withCredentialsOf(file: string, url: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${credentialsFile}=${encodeURIComponent(file)}`;
}

function partsOf(url: string): Parts {
  const [, scheme, authority = '', path = '', query = ''] =
    /^(postgres(?:ql)?:\/\/)([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/iu.exec(url) ?? [];
  if (scheme === undefined) throw new Unreadable('is not like postgres://user@host:5432/database');
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1).split(',');
  return { scheme, user: authority.slice(0, at + 1), hosts, path, parameters: new URLSearchParams(query) };
}

/** With its `@`; what the file holds now, and what it held before where it cannot be read at this moment. */
function userOf({ user, parameters }: Parts): string {
  const file = parameters.get(credentialsFile);
  if (file === null) return user;
  try {
    return partsOf(readFileSync(file, 'utf8').trim()).user;
  } catch {
    return user;
  }
}

function hostAndPort(text: string): { host: string; port: number } {
  const [, host = '', port = '5432'] = /^(.*?)(?::(\d{1,5}))?$/u.exec(text) ?? [];
  return { host: decodeURIComponent(host).replace(/^\[(.*)\]$/u, '$1'), port: Number(port) };
}

function wantedOf(parameters: URLSearchParams): WantedSession {
  return oneOf(parameters, 'target_session_attrs', wantedSessions) ?? 'any';
}

function oneOf<Value extends string>(
  parameters: URLSearchParams,
  name: string,
  known: readonly Value[],
): Value | undefined {
  const given = parameters.get(name);
  const found = known.find((value) => value === given);
  if (given === null || found !== undefined) return found;
  throw new Unreadable(`has ${indefinite(name)} that is none of ${known.join(', ')}`);
}

function indefinite(name: string): string {
  return `${name.startsWith('ssl') ? 'an' : 'a'} ${name}`;
}

interface Encryption {
  readonly parameters: URLSearchParams;
  /** Whether the certificate must name the host. */
  readonly named: boolean;
}

/** The ways to encrypt that a host is asked for, in order; false is none. */
function encryptionOf(parameters: URLSearchParams, host: string): (false | Encryption)[] {
  const odd = Object.entries(unsupported).find(([name, asked]) => asked.test(parameters.get(name) ?? ''));
  if (odd) throw new Unreadable(`has ${indefinite(odd[0])} that keystride cannot heed: take it out`);
  const mode = modeOf(parameters, host);
  const encrypted = { parameters, named: mode === 'verify-full' };
  if (mode === 'disable' || host.startsWith('/')) return [false];
  if (mode === 'allow') return [false, encrypted];
  return mode === 'prefer' ? [encrypted, false] : [encrypted];
}

/** Without one it is libpq's `prefer`, and nobody stands between this machine and itself. */
function modeOf(parameters: URLSearchParams, host: string): SslMode {
  const root = parameters.get('sslrootcert');
  const other = parameters.get('ssl') === 'true' ? 'require' : localHost.test(host) ? 'disable' : 'prefer';
  const mode = oneOf(parameters, 'sslmode', sslModes) ?? (root === 'system' ? 'verify-full' : other);
  if (root === 'system' && mode !== 'verify-full')
    throw new Unreadable('has sslrootcert=system, which means something with sslmode=verify-full alone');
  if (root === null && mode.startsWith('verify'))
    throw new Unreadable(
      `has sslmode=${mode} and no sslrootcert: name the file of its CA, or write sslrootcert=system for those that this machine trusts`,
    );
  return mode;
}

/** Whom an encrypted connection believes, and what it shows. libpq looks at a certificate whenever it is given a CA. */
function certificatesOf({ parameters, named }: Encryption): tls.ConnectionOptions {
  const of = (name: string) => parameters.get(name) ?? undefined;
  const file = (name: string) => of(name) && readFileSync(of(name) ?? '', 'utf8');
  const root = of('sslrootcert');
  const given = {
    ca: root === 'system' ? tls.getCACertificates('system') : file('sslrootcert'),
    cert: file('sslcert'),
    key: file('sslkey'),
    passphrase: of('sslpassword'),
    minVersion: of('ssl_min_protocol_version'),
    maxVersion: of('ssl_max_protocol_version'),
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    rejectUnauthorized: root !== undefined,
    ...(!named && { checkServerIdentity: () => undefined }),
  };
}
