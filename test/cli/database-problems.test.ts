import { generateKeyPairSync } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { x509 } from '../support/x509.ts';
import { keystride } from './support.ts';

/** A database that cannot be used: what every command says of it. */
let database: Awaited<ReturnType<typeof testDatabase>>;
let admin: pg.Client;
const role = `poor_${process.pid}`;
const servers: net.Server[] = [];

beforeAll(async () => {
  database = await testDatabase('target');
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(`create role ${role} login password 'hidden-word'`);
}, 60_000);

afterAll(async () => {
  await admin.query(`drop owned by ${role}`);
  await admin.query(`drop role ${role}`);
  await admin.end();
  await database.drop();
  for (const server of servers) server.close();
});

/** Where something listens that talks otherwise. */
async function listening(talk: (socket: net.Socket) => void): Promise<string> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    talk(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

function changed(
  change: Partial<Pick<URL, 'username' | 'password' | 'host' | 'pathname' | 'search'>>,
): string {
  const url = new URL(database.url);
  Object.assign(url, { password: 'hidden-word', ...change });
  return url.href;
}

const commands = [
  ['skips', 'x', 'list'],
  ['migrate', '--only', 'ledger'],
  ['demo-data', 'orders', '--count', '1'],
];

async function told(url: string, ofCommands = commands): Promise<string> {
  const all = await Promise.all(ofCommands.map((words) => toldBy(words, url)));
  return all.at(-1) ?? '';
}

async function toldBy(words: readonly string[], url: string): Promise<string> {
  const { exitCode, stdout, stderr, json } = await keystride([...words, '-o', 'json'], { DATABASE_URL: url });
  expect(exitCode, `${words.join(' ')}: ${stderr}`).toBe(1);
  const { error } = json() as { error: { type: string; message: string; todo: string } };
  expect(error.type, JSON.stringify(error)).not.toBe('Defect');
  expect(stdout + stderr).not.toContain('hidden-word');
  return `${error.message}. ${error.todo}`;
}

test('a wrong password, a user and a database that are not there', async () => {
  expect(await told(changed({}))).toMatch(/refuses the password of/u);
  expect(await told(changed({ username: 'nobody_here' }))).toMatch(/nobody_here/u);
  const good = new URL(database.url);
  good.pathname = '/not_here';
  expect(await told(good.href)).toMatch(/no database not_here .*CREATE DATABASE "not_here"/su);
});

test('a port where nothing listens, or something else, a name that nobody knows', async () => {
  expect(await told(changed({ host: '127.0.0.1:1' }))).toMatch(/nothing listens at 127\.0\.0\.1:1/u);
  const http = await listening((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  );
  expect(await told(changed({ host: http }))).toMatch(/something else than PostgreSQL/u);
  const closes = await listening((socket) => socket.destroy());
  expect(await told(changed({ host: closes }))).toMatch(/ends the connection/u);
  expect(await told(changed({ host: 'nowhere.invalid:5432' }))).toMatch(/nowhere\.invalid has no address/u);
}, 240_000);

test('TLS that the server does not have, or a certificate of its own', async () => {
  const without = await listening((socket) => socket.once('data', () => socket.write('N')));
  const verify = '?sslmode=verify-full&sslrootcert=system';
  expect(await told(changed({ host: without, search: verify }))).toMatch(
    /no encrypted connections.*sslmode=disable/su,
  );
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name: '127.0.0.1', privateKey };
  const context = tls.createSecureContext({
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: x509({ name: issuer.name, publicKey, issuer, days: 1 }),
  });
  const signedByItself = await listening((socket) =>
    socket.once('data', () => {
      socket.write('S');
      new tls.TLSSocket(socket, { isServer: true, secureContext: context }).on('error', () => undefined);
    }),
  );
  expect(await told(changed({ host: signedByItself, search: verify }))).toMatch(
    /signed by nobody.*sslrootcert.*sslmode=require without sslrootcert/su,
  );
}, 240_000);

test.each([
  ['postgres://a:hidden-word@one:5432,two:5432x/db', /cannot be read/u],
  ['postgres://a:hidden-word@one/db?sslmode=verify-full', /no sslrootcert/u],
  ['postgres://a:hidden%-word@[::1/db', /a % that encodes nothing/u],
  ['postgres://a:hidden-word@one/db?sslmode=on', /sslmode that is none of/u],
])('an address that cannot be one is refused as a setting: %s', async (url, message) => {
  const { exitCode, stdout, stderr } = await keystride(['skips', 'x', 'list'], { DATABASE_URL: url });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).toContain('DATABASE_URL');
  expect(stdout + stderr).not.toMatch(/hidden/u);
});

test('rights that are lacking are named with the statement that gives them', async () => {
  const poor = changed({ username: role });
  expect(await told(poor, [['skips', 'x', 'list']])).toMatch(
    new RegExp(
      `lacks a right: permission denied for schema keystride.*GRANT USAGE ON SCHEMA "keystride" TO "${role}"`,
      'su',
    ),
  );
  await admin.query(`grant usage on schema keystride to ${role}`);
  expect(await told(poor, [['skips', 'x', 'list']])).toMatch(
    new RegExp(`permission denied for table instance.*GRANT SELECT ON .*TO "${role}"`, 'su'),
  );
});

test('tables that are missing are named with the command that makes them', async () => {
  await admin.query('drop schema keystride cascade');
  expect(
    await told(database.url, [
      ['skips', 'x', 'list'],
      ['sync', 'list'],
    ]),
  ).toMatch(/tables of keystride are missing.*migrate/su);
});
