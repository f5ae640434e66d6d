import { mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { type PostgresServer, startPostgres } from '../../packages/keystride/src/dev/postgres.ts';
import { reporterOf } from '../../packages/keystride/src/dev/progress.ts';
import { addressProblem, withCredentialsOf } from '../../packages/keystride/src/stores/postgres/address.ts';
import { boundedQuery } from '../../packages/keystride/src/stores/postgres/bounded-query.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { databaseProblemOf } from '../../packages/keystride/src/stores/postgres/problems.ts';
import { driverOptions, ServerClient } from '../../packages/keystride/src/stores/postgres/server-client.ts';
import { type Authority, Certificates, encrypt } from '../support/certificates.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { waitFor } from '../support/stack.ts';

/** Addresses as libpq reads them, against a PostgreSQL with certificates that are made here. */
const home = mkdtempSync(path.join(tmpdir(), 'keystride-server-client-'));
const certificates = new Certificates();
const guard = new Guard();
let server: PostgresServer;
let replica: Replica;
let superuser: pg.Client;
let authority: Authority;

beforeAll(async () => {
  chmodSync(home, 0o711);
  const { cache } = inject('keystride');
  server = await startPostgres({ home, cache, owner: guard.owner, report: reporterOf('tls', () => {}) });
  superuser = new pg.Client({ connectionString: server.url });
  await superuser.connect();
  authority = certificates.authority('ca');
  await encrypt(superuser, authority.sign('server'), authority);
  await superuser.query(`CREATE ROLE any_way LOGIN PASSWORD 'word'; CREATE ROLE tls_only LOGIN PASSWORD 'word';
    CREATE ROLE plain_only LOGIN PASSWORD 'word'; CREATE ROLE shower LOGIN`);
  await allow(`local all all scram-sha-256
    hostssl all shower 127.0.0.1/32 cert
    hostnossl all tls_only 127.0.0.1/32 reject
    hostssl all plain_only 127.0.0.1/32 reject
    host all all 127.0.0.1/32 scram-sha-256
    host replication all 127.0.0.1/32 scram-sha-256`);
  replica = await startReplica(server.url, cache, guard.owner);
}, 120_000);

afterAll(async () => {
  await superuser?.end();
  await replica?.stop();
  await server?.stop();
  guard.close();
  certificates.remove();
  rmSync(home, { recursive: true, force: true });
});

async function allow(lines: string): Promise<void> {
  const { rows } = await superuser.query<{ hba_file: string }>('SHOW hba_file');
  writeFileSync(rows[0]?.hba_file ?? '', lines);
  await superuser.query('SELECT pg_reload_conf()');
}

interface Asked {
  readonly user?: string;
  readonly password?: string;
  readonly host?: string;
  readonly [parameter: string]: string | undefined;
}

function address({ user = 'any_way', password = 'word', host, ...parameters }: Asked): string {
  const query = new URLSearchParams(parameters as Record<string, string>);
  return `postgres://${user}:${password}@${host ?? `localhost:${port()}`}${new URL(server.url).pathname}?${query.toString()}`;
}

function port(url = server.url): string {
  return new URL(url).port;
}

interface Session {
  readonly ssl: boolean;
  readonly standby: boolean;
}

async function connected(asked: Asked): Promise<Session> {
  const client = new ServerClient({ connectionString: address(asked) });
  try {
    await client.connect();
    const { rows } = await client.query<Session>(
      'SELECT ssl, pg_is_in_recovery() AS standby FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    return rows[0] as Session;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What people are told, by code or by words. */
async function refused(asked: Asked): Promise<string> {
  const url = address(asked);
  const error: unknown = await connected(asked).then(
    () => 'it was let in',
    (thrown: unknown) => thrown,
  );
  const problem = databaseProblemOf(error, { url, variable: 'DATABASE_URL' });
  expect(problem, String(error)).toBeDefined();
  return `${problem?.what}. ${problem?.todo}`;
}

describe('sslmode', () => {
  test.each([
    [undefined, 'any_way', false],
    ['disable', 'any_way', false],
    ['allow', 'any_way', false],
    ['allow', 'tls_only', true],
    ['prefer', 'any_way', true],
    ['prefer', 'tls_only', true],
    ['prefer', 'plain_only', false],
    ['require', 'any_way', true],
  ])('%s connects %s, encrypted: %s', async (sslmode, user, ssl) => {
    expect(await connected({ user, ...(sslmode && { sslmode }) })).toMatchObject({ ssl });
  });

  test('disable and require are not left for the sake of a connection', async () => {
    expect(await refused({ sslmode: 'disable', user: 'tls_only' })).toMatch(/pg_hba.*sslmode=require/su);
    expect(await refused({ sslmode: 'require', user: 'plain_only' })).toMatch(/pg_hba/u);
  });

  test('a host that has no TLS', async () => {
    const without = net.createServer((socket) => socket.once('data', () => socket.write('N')));
    await new Promise<void>((resolve) => without.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(without.address() as net.AddressInfo).port}`;
    expect(await refused({ host, sslmode: 'require' })).toMatch(/takes no encrypted connections/u);
    without.close();
  });

  test.each(['verify-ca', 'verify-full'])(
    '%s takes a certificate of the CA that it is given',
    async (sslmode) => {
      expect(await connected({ sslmode, sslrootcert: authority.cert })).toMatchObject({ ssl: true });
    },
  );

  test.each([
    ['verify-full', 'another CA', /signed by nobody .*sslrootcert/su],
    ['verify-ca', 'another CA', /signed by nobody/u],
    // As libpq does: whoever gives a CA wants it to be heeded.
    ['require', 'another CA', /signed by nobody/u],
    ['verify-full', 'no CA of ours', /signed by nobody/u],
  ])('%s, and %s', async (sslmode, which, message) => {
    const root = which === 'another CA' ? certificates.authority(`other-${sslmode}`).cert : 'system';
    expect(await refused({ sslmode, sslrootcert: root })).toMatch(message);
    expect(await refused({ sslmode, sslrootcert: root })).toContain(`localhost:${port()}`);
  });

  test('the name that the certificate is for', async () => {
    await encrypt(superuser, authority.sign('server', { hosts: ['DNS:db.example'] }), authority);
    const sslrootcert = authority.cert;
    await waitFor(async () =>
      /another host name.*name the host/su.test(
        await refused({ sslmode: 'verify-full', sslrootcert }).catch(() => ''),
      ),
    );
    expect(await connected({ sslmode: 'verify-ca', sslrootcert })).toMatchObject({ ssl: true });
  });

  test('a certificate that has expired, and the one that takes its place', async () => {
    await encrypt(superuser, authority.sign('server', { days: -1 }), authority);
    const asked = { sslmode: 'verify-full', sslrootcert: authority.cert };
    await waitFor(async () => /expired.*new certificate/su.test(await refused(asked).catch(() => '')));
    await encrypt(superuser, authority.sign('server'), authority);
    await waitFor(async () => (await connected(asked).catch(() => undefined))?.ssl);
  });

  test('a certificate of our own instead of a password', async () => {
    const tls = { sslmode: 'verify-full', sslrootcert: authority.cert, user: 'shower', password: '' };
    const { cert, key } = authority.sign('shower');
    expect(await connected({ ...tls, sslcert: cert, sslkey: key })).toMatchObject({ ssl: true });
    expect(await refused(tls)).toMatch(/lets shower not in/u);
    expect(await refused({ ...tls, sslcert: '/not/here', sslkey: key })).toMatch(
      /cannot be read \(ENOENT\)/u,
    );
  });
});

test.each([
  ['?sslmode=on', /has an sslmode that is none of disable, allow, prefer, require, verify-ca, verify-full$/u],
  ['?sslmode=no-verify', /none of/u],
  ['?sslmode=verify-full', /no sslrootcert: name the file of its CA, or write sslrootcert=system/u],
  ['?sslmode=require&sslrootcert=system', /verify-full alone/u],
  ['?channel_binding=require', /a channel_binding that keystride cannot heed/u],
  ['?target_session_attrs=master', /a target_session_attrs that is none of any, read-write/u],
])('an address with %s is refused before anything is connected', (query, message) => {
  expect(addressProblem(`postgres://a:hidden@db/x${query}`)).toMatch(message);
  expect(addressProblem(`postgres://a:hidden@db/x${query}`)).not.toContain('hidden');
});

describe('several hosts', () => {
  const nobody = '127.0.0.1:1';
  const both = () => `${nobody},localhost:${port(replica.url)},localhost:${port()}`;

  test.each([
    ['any', true],
    ['primary', false],
    ['read-write', false],
    ['standby', true],
    ['read-only', true],
    ['prefer-standby', true],
  ])('target_session_attrs=%s, a standby: %s', async (wanted, standby) => {
    expect(await connected({ host: both(), target_session_attrs: wanted })).toMatchObject({ standby });
  });

  test('a kind that none of them is, and none that answers', async () => {
    const primary = `localhost:${port()}`;
    expect(await refused({ host: `${nobody},${primary}`, target_session_attrs: 'standby' })).toMatch(
      /none of the hosts is what target_session_attrs asks for: .* no session that is standby/su,
    );
    expect(
      await connected({ host: `${nobody},${primary}`, target_session_attrs: 'prefer-standby' }),
    ).toMatchObject({
      standby: false,
    });
    expect(await refused({ host: `${nobody},127.0.0.1:2` })).toMatch(
      /127\.0\.0\.1:1, 127\.0\.0\.1:2 .*ECONNREFUSED/u,
    );
  });

  test('a host that refuses the password is the answer, as with libpq', async () => {
    expect(await refused({ host: both(), password: 'wrong' })).toMatch(/refuses the password of any_way/u);
  });

  test('a statement is cancelled on the host that runs it', async () => {
    const pool = createPool(address({ host: both(), target_session_attrs: 'primary' }), 'a test', 2);
    const abort = new AbortController();
    const reading = boundedQuery(pool, 'SELECT pg_sleep(60) /* of this test */', [], {
      signal: abort.signal,
    });
    const running = async () =>
      (
        await superuser.query(
          `SELECT FROM pg_stat_activity WHERE query LIKE '%of this test%' AND pid <> pg_backend_pid() AND state = 'active'`,
        )
      ).rowCount;
    await waitFor(async () => (await running()) === 1);
    abort.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await waitFor(async () => (await running()) === 0);
    await pool.end();
  });
});

test('a connection of another kind goes to the host that is found, encrypted', async () => {
  const tls = { sslmode: 'verify-full', sslrootcert: authority.cert, target_session_attrs: 'primary' };
  const host = `localhost:${port(replica.url)},localhost:${port()}`;
  const client = new pg.Client(await driverOptions(address({ host, ...tls })));
  await client.connect();
  const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  expect({ ...rows[0], port: client.port }).toEqual({ ssl: true, port: Number(port()) });
  await client.end();
});

test('user and password are read anew from their file for each connection', async () => {
  const file = path.join(certificates.directory, 'url');
  writeFileSync(file, `${address({})}\n`);
  const pool = createPool(withCredentialsOf(file, readFileSync(file, 'utf8').trim()), 'rotated', 2);
  try {
    await pool.query('SELECT');
    await superuser.query(`ALTER ROLE any_way PASSWORD 'another'`);
    writeFileSync(file, address({ password: 'another' }));
    await superuser.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rotated'`,
    );
    await waitFor(() =>
      pool.query('SELECT').then(
        () => true,
        () => false,
      ),
    );
  } finally {
    await pool.end();
    await superuser.query(`ALTER ROLE any_way PASSWORD 'word'`);
  }
});
