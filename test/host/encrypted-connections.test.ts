import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { mongoBinary } from '../../packages/keystride/src/dev/mongo-binary.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';
import { DatabaseProxy } from '../../packages/keystride/src/prove/database-proxy.ts';
import { databaseOn } from '../../packages/keystride/src/stores/postgres/database-url.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { keystride, keystrideProcess } from '../cli/support.ts';
import { type Authority, type Certificate, Certificates, encrypt } from '../support/certificates.ts';
import { addTargets, openStores, type Stores } from '../support/migration.ts';
import { reportOf, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { startTemporalFront, type TemporalFront } from '../support/temporal-front.ts';

/** A world in which nothing is reached but by TLS, with certificates that are made here. */
const certificates = new Certificates();
const guard = new Guard();
let world: World;
let stores: Stores;
let superuser: pg.Client;
let authority: Authority;
let front: TemporalFront;
let mongodbUrl: string;
let environment: NodeJS.ProcessEnv;
const file = (name: string, text: string) => {
  const named = path.join(certificates.directory, name);
  writeFileSync(named, text);
  return named;
};

beforeAll(async () => {
  world = await createWorld({ ownServers: true, legacyApi: ['--latency=100'] });
  superuser = new pg.Client({ connectionString: world.databaseUrl });
  await superuser.connect();
  authority = certificates.authority('ca');
  const server = authority.sign('server');
  const client = authority.sign('jobs');
  await encrypt(superuser, server, authority);
  await superuser.query(`CREATE ROLE jobs LOGIN SUPERUSER PASSWORD 'first'`);
  mongodbUrl = await encryptedMongo(server, client);
  stores = openStores({ ...addresses(), mongodbUrl });
  front = await startTemporalFront(world.temporalAddress, server, authority);
  const profile = `[profile.nightly]
    address = "${front.address}"
    namespace = "${world.namespace}"
    [profile.nightly.tls]
    server_ca_cert_path = "${authority.cert}"
    client_cert_path = "${client.cert}"
    client_key_path = "${client.key}"`;
  environment = {
    ...world.environment,
    TEMPORAL_ADDRESS: '',
    TEMPORAL_NAMESPACE: '',
    TEMPORAL_CONFIG_FILE: file('temporal.toml', profile),
    TEMPORAL_PROFILE: 'nightly',
    DATABASE_URL: '',
    DATABASE_URL_FILE: file('database-url', databaseUrl('first')),
    SOURCE_DATABASE_URL: '',
    SOURCE_DATABASE_URL_FILE: file('source-url', databaseUrl('first', world.sourceDatabaseUrl)),
    MONGODB_URL: mongodbUrl,
  };
}, 180_000);

afterAll(async () => {
  await stores?.close();
  await superuser?.end();
  await world?.dispose();
  front?.close();
  guard.close();
  certificates.remove();
});

function addresses() {
  const { databaseUrl: target, sourceDatabaseUrl } = world;
  return { databaseUrl: target, sourceDatabaseUrl };
}

function databaseUrl(password: string, url = world.databaseUrl): string {
  const query = new URLSearchParams({ sslmode: 'verify-full', sslrootcert: authority.cert });
  return Object.assign(new URL(url), {
    ...{ username: 'jobs', password, hostname: 'localhost', search: query.toString() },
  }).href;
}

/** A second MongoDB beside that of the world: one that asks for certificates, with documents of its own. */
async function encryptedMongo(server: Certificate, client: Certificate): Promise<string> {
  const { engine, path: command } = await mongoBinary(inject('keystride').cache, undefined, () => undefined);
  const both = ({ cert, key }: Certificate, name: string) =>
    file(name, readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'));
  const port = await freePort();
  const query = new URLSearchParams({
    ...{ tls: 'true', tlsCAFile: authority.cert, tlsCertificateKeyFile: both(client, 'client.pem') },
    directConnection: 'true',
  });
  const url = `mongodb://localhost:${port}/jobs?${query.toString()}`;
  await superuser.query('CREATE DATABASE documents');
  const process = new ServerProcess(
    {
      ...{ name: 'encrypted MongoDB', command, workingDirectory: certificates.directory },
      arguments:
        engine === 'ferretdb'
          ? []
          : [
              ...['--dbpath', certificates.directory, '--port', String(port), '--tlsMode', 'requireTLS'],
              ...['--tlsCertificateKeyFile', both(server, 'server.pem'), '--tlsCAFile', authority.cert],
            ],
      environment: {
        FERRETDB_POSTGRESQL_URL: databaseOn(world.databaseUrl, 'documents'),
        FERRETDB_LISTEN_TLS: `127.0.0.1:${port}`,
        FERRETDB_LISTEN_TLS_CERT_FILE: server.cert,
        FERRETDB_LISTEN_TLS_KEY_FILE: server.key,
        FERRETDB_LISTEN_TLS_CA_FILE: authority.cert,
        DO_NOT_TRACK: '1',
      },
      logFile: path.join(certificates.directory, 'mongodb.log'),
      probe: async () => (await MongoClient.connect(url, { serverSelectionTimeoutMS: 2_000 })).close(),
      ...{ readyWithinMs: 60_000, stopSignal: 'SIGTERM', stopWithinMs: 5_000 },
    },
    guard.owner,
  );
  await process.start();
  return url;
}

test('the faults of prove happen to COMMITs that are encrypted behind its proxy', async () => {
  const url = databaseUrl('first');
  const happened: string[] = [];
  const proxy = await DatabaseProxy.start(url, [{ kind: 'commitReplyLost', at: 2 }]);
  proxy.onFault = (kind) => happened.push(kind);
  const pool = createPool(proxy.urlOf(url), 'keystride test', 1);
  try {
    await superuser.query('CREATE TABLE noted (n int)');
    const note = (n: number) =>
      inTransaction(pool, (transaction) => transaction.query('INSERT INTO noted VALUES ($1)', [n]));
    await note(1);
    await expect(note(2)).rejects.toThrow();
    expect(happened).toEqual(['commitReplyLost']);
    expect((await superuser.query('SELECT FROM noted')).rowCount).toBe(2);
  } finally {
    await pool.end();
    await proxy.stop();
  }
  const unknown = new URL(url);
  unknown.searchParams.set('sslrootcert', certificates.authority('other').cert);
  const elsewhere = await DatabaseProxy.start(unknown.href, []);
  const refused = createPool(elsewhere.urlOf(url), 'keystride test', 1);
  await expect(refused.query('SELECT 1')).rejects.toThrow();
  await refused.end();
  await elsewhere.stop();
});

test('a run over encrypted connections alone, whose password is replaced in its middle', async () => {
  await addTargets(stores, 300);
  await world.startWorker({ environment: { ...environment, KEYSTRIDE_CONNECTIONS: '6' } });
  const run = await world.start('documentMigration', { inFlight: 10 });
  const committed = async () => Number((await superuser.query('SELECT FROM preprocess_job')).rowCount);
  await waitFor(async () => (await committed()) > 20);
  const sessions = await superuser.query<{ ssl: boolean }>(
    `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'jobs'`,
  );
  expect(sessions.rows).toEqual([{ ssl: true }]);

  await superuser.query(`ALTER ROLE jobs PASSWORD 'second'`);
  await superuser.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'jobs'`);
  file('database-url', databaseUrl('second'));
  file('source-url', databaseUrl('second', world.sourceDatabaseUrl));

  const report = await reportOf(run);
  expect(report).toMatchObject({ status: 'completed' });
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: 300, written: 300 });
  expect(await committed()).toBe(300);
  const status = await keystride(['status', run.workflowId], environment);
  expect(status).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('300') });
  const doctor = await keystride(['doctor'], environment);
  expect(doctor.stdout).toMatch(/\n0 bad, /u);
});

describe('Temporal', () => {
  /** What the command says, and the worker. */
  async function told(changed: NodeJS.ProcessEnv): Promise<readonly string[]> {
    const given = {
      ...environment,
      TEMPORAL_PROFILE: '',
      TEMPORAL_CONFIG_FILE: '/none',
      TEMPORAL_NAMESPACE: world.namespace,
    };
    const said = [['list'], ['worker']].map(async (words) => {
      const { exitCode, stderr } = await keystrideProcess(words, {
        ...given,
        TEMPORAL_ADDRESS: front.address,
        ...changed,
      });
      expect(exitCode).toBe(1);
      return stderr;
    });
    return Promise.all(said);
  }

  test.each([
    [
      'another CA',
      /signed by nobody whom this machine was told to trust.*TEMPORAL_TLS_SERVER_CA_CERT_PATH/su,
    ],
    ['a certificate of another CA', /asks for a certificate that it knows/u],
    ['no certificate', /asks for a certificate.*TEMPORAL_TLS_CLIENT_CERT_PATH/su],
    ['another name', /for another host name.*TEMPORAL_TLS_SERVER_NAME/su],
  ])('%s', async (what, message) => {
    const { cert, key } = authority.sign('jobs');
    const ours = { TEMPORAL_TLS_CLIENT_CERT_PATH: cert, TEMPORAL_TLS_CLIENT_KEY_PATH: key };
    const other = certificates.authority('other');
    const foreign = other.sign('jobs');
    const strange = {
      TEMPORAL_TLS_CLIENT_CERT_PATH: foreign.cert,
      TEMPORAL_TLS_CLIENT_KEY_PATH: foreign.key,
    };
    const trusted = { TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.cert };
    const settings = {
      'another CA': { ...ours, TEMPORAL_TLS_SERVER_CA_CERT_PATH: other.cert },
      'a certificate of another CA': { ...strange, ...trusted },
      'no certificate': trusted,
      'another name': { ...ours, ...trusted, TEMPORAL_TLS_SERVER_NAME: 'elsewhere.example' },
    };
    for (const text of await told(settings[what as keyof typeof settings])) expect(text).toMatch(message);
  });
});
