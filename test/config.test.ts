import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadSettings } from '../packages/keystride/src/dev/settings.ts';
import { ConfigError, loadConfig } from '../packages/keystride/src/settings/config.ts';
import { cacheOf, homeOf } from '../packages/keystride/src/settings/places.ts';
import { withoutCredentials } from '../packages/keystride/src/settings/environment.ts';
import { identityOf } from '../packages/keystride/src/dev/processes.ts';
import { writeState } from '../packages/keystride/src/dev/state.ts';

let home: string;
let empty: NodeJS.ProcessEnv;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'keystride-config-'));
  empty = { KEYSTRIDE_HOME: home, HOME: home, TEMPORAL_CONFIG_FILE: path.join(home, 'none.toml') };
});

afterEach(() => rmSync(home, { recursive: true }));

test('names every setting that is missing, and what to do', () => {
  const error = refusal(() => loadConfig(empty, ['temporal', 'databaseUrl', 'mongodbUrl']));
  expect(error.problems.map(({ variable }) => variable)).toEqual([
    'TEMPORAL_ADDRESS',
    'DATABASE_URL',
    'MONGODB_URL',
  ]);
  expect(error.message).toContain('keystride dev --detach');
});

test('names every malformed setting with the missing ones, and shows no secret', () => {
  const env = {
    ...empty,
    DATABASE_URL: 'mysql://ann:s3cret@db/x?password=s3cret',
    LOG_LEVEL: 'loud',
    KEYSTRIDE_BYTES_IN_FLIGHT: '12 apples',
    SOURCE_DATABASE_URL: 'postgres://ann:s3cret@db/service',
  };
  const error = refusal(() => loadConfig(env, ['databaseUrl', 'sourceDatabaseUrl', 'mongodbUrl']));
  expect(error.problems.map(({ variable }) => variable).toSorted()).toEqual(
    ['DATABASE_URL', 'KEYSTRIDE_BYTES_IN_FLIGHT', 'LOG_LEVEL', 'MONGODB_URL'].toSorted(),
  );
  expect(error.message).toContain('mysql://db/x');
  expect(error.message).not.toContain('s3cret');
});

test('an address of Temporal without a port is malformed', () => {
  const error = refusal(() => loadConfig({ ...empty, TEMPORAL_ADDRESS: 'localhost' }, ['temporal']));
  expect(error.problems).toHaveLength(1);
  expect(error.message).toContain('TEMPORAL_ADDRESS');
});

test('runs of a job go to its queue; a worker polls all queues, or those that it is told', () => {
  expect(loadConfig(empty)).toMatchObject({
    taskQueue: 'keystride',
    queues: {},
    workerQueues: ['keystride'],
  });
  const queues = { ...empty, KEYSTRIDE_QUEUES: 'documentMigration=documents, tableSync = syncs' };
  expect(loadConfig(queues)).toMatchObject({
    queues: { documentMigration: 'documents', tableSync: 'syncs' },
    workerQueues: ['keystride', 'documents', 'syncs'],
  });
  expect(loadConfig({ ...queues, KEYSTRIDE_WORKER_QUEUES: 'syncs' }).workerQueues).toEqual(['syncs']);
  expect(refusal(() => loadConfig({ ...queues, KEYSTRIDE_WORKER_QUEUES: 'synks' })).message).toContain(
    'KEYSTRIDE_WORKER_QUEUES names synks, to which no runs go',
  );
  for (const wrong of ['documentMigration', 'a=b,a=c', 'a=', 'a=b=c'])
    expect(refusal(() => loadConfig({ ...empty, KEYSTRIDE_QUEUES: wrong })).message).toContain(
      'KEYSTRIDE_QUEUES is not like',
    );
});

test('how much a worker takes on is a number of activities and shares of its machine', () => {
  expect(loadConfig(empty)).not.toHaveProperty('target');
  const cpu = { ...empty, KEYSTRIDE_TARGET_CPU: '0.5', KEYSTRIDE_ACTIVITIES: '3' };
  expect(loadConfig(cpu)).toMatchObject({ target: { cpu: 0.5, memory: 0.8 }, activities: 3 });
  for (const [variable, wrong] of [
    ['KEYSTRIDE_TARGET_CPU', '80'],
    ['KEYSTRIDE_TARGET_MEMORY', '0'],
    ['KEYSTRIDE_ACTIVITIES', '0'],
  ] as const)
    expect(refusal(() => loadConfig({ ...empty, [variable]: wrong })).problems).toMatchObject([{ variable }]);
});

test('where a worker listens is an address by number, and nowhere unless it is set', () => {
  expect(loadConfig(empty)).not.toHaveProperty('metricsAddress');
  const set = { ...empty, KEYSTRIDE_METRICS: '127.0.0.1:9464', KEYSTRIDE_HEALTH: '[::]:8080' };
  expect(refusal(() => loadConfig({ ...empty, KEYSTRIDE_TRACES: 'collector:4318' })).problems).toMatchObject([
    { variable: 'KEYSTRIDE_TRACES' },
  ]);
  expect(loadConfig(set)).toMatchObject({ metricsAddress: '127.0.0.1:9464', healthAddress: '[::]:8080' });
  for (const wrong of ['9464', 'localhost:9464', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '::1:8080'])
    for (const variable of ['KEYSTRIDE_METRICS', 'KEYSTRIDE_HEALTH'])
      expect(refusal(() => loadConfig({ ...empty, [variable]: wrong })).problems).toMatchObject([
        { variable },
      ]);
});

test('the environment goes before temporal.toml, and that before the running stack', () => {
  runningStack({ temporalAddress: '127.0.0.1:3', databaseUrl: 'postgres://a@127.0.0.1:3/stack' });
  expect(loadSettings(empty, ['temporal', 'databaseUrl'])).toMatchObject({
    temporal: { address: '127.0.0.1:3', namespace: 'default' },
    databaseUrl: 'postgres://a@127.0.0.1:3/stack',
  });

  const file = path.join(home, 'temporal.toml');
  writeFileSync(file, '[profile.default]\naddress = "toml.test:2"\nnamespace = "nightly"\napi_key = "k"\n');
  const fromFile = loadConfig({ ...empty, TEMPORAL_CONFIG_FILE: file }, ['temporal']).temporal;
  expect(fromFile).toMatchObject({
    address: 'toml.test:2',
    namespace: 'nightly',
    connectionOptions: { apiKey: 'k' },
  });

  const env = { ...empty, TEMPORAL_CONFIG_FILE: file, TEMPORAL_ADDRESS: 'env.test:1' };
  expect(loadSettings(env, ['temporal']).temporal).toMatchObject({
    address: 'env.test:1',
    namespace: 'nightly',
  });
});

test('a secret stands in its variable or in the file that is named beside it', () => {
  const file = (text: string) => {
    const named = path.join(home, `secret-${text.length}`);
    writeFileSync(named, `${text}\n`);
    return named;
  };
  const database = file('postgres://ann:secret@db/x?sslmode=require');
  const env = { ...empty, DATABASE_URL_FILE: database, MONGODB_URL_FILE: file('mongodb://m/x') };
  expect(loadConfig(env, ['databaseUrl', 'mongodbUrl'])).toMatchObject({
    databaseUrl: `postgres://ann:secret@db/x?sslmode=require&credentials_file=${encodeURIComponent(database)}`,
    mongodbUrl: 'mongodb://m/x',
  });
  const key = file('the key');
  const temporal = { ...empty, TEMPORAL_ADDRESS: 't:7233', TEMPORAL_API_KEY_FILE: key };
  const read = loadConfig(temporal, ['temporal']).temporal;
  expect(read.connectionOptions).toMatchObject({ apiKey: 'the key', tls: true });
  writeFileSync(key, 'the next key');
  expect(read.currentApiKey?.()).toBe('the next key');
  rmSync(key);
  expect(read.currentApiKey?.()).toBe('the next key');

  const told = (wrong: NodeJS.ProcessEnv) => () => loadConfig({ ...empty, ...wrong }, ['databaseUrl']);
  expect(told({ DATABASE_URL: 'postgres://ann:secret@db/x', DATABASE_URL_FILE: database })).toThrow(
    /^DATABASE_URL is set, and DATABASE_URL_FILE too: set one of them\. Correct it/u,
  );
  expect(told({ DATABASE_URL_FILE: '/not/here' })).toThrow(
    /^DATABASE_URL is to be in the file of DATABASE_URL_FILE, \/not\/here: it cannot be read \(ENOENT\)\. Correct it/u,
  );
  expect(told({ DATABASE_URL_FILE: file('ann:secret') })).toThrow(/not shown: not a URL/u);
});

test.each([
  [{ TEMPORAL_ADDRESS: '127.0.0.1:7233' }, true],
  [{ TEMPORAL_ADDRESS: 'localhost:7233' }, true],
  [{ TEMPORAL_ADDRESS: '[::1]:7233' }, true],
  [{ TEMPORAL_ADDRESS: '127.0.0.1.example.org:7233' }, false],
  [{ TEMPORAL_ADDRESS: '10.0.0.7:7233' }, false],
  [{ TEMPORAL_ADDRESS: 'temporal:7233' }, false],
  [{ TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_TLS: 'false' }, false],
  [{ TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_TLS: 'true' }, true],
  [{ TEMPORAL_ADDRESS: 'temporal:7233', TEMPORAL_API_KEY: 'k' }, true],
  [{ TEMPORAL_ADDRESS: 'temporal:7233', KEYSTRIDE_PLAINTEXT: 'db, temporal' }, true],
  [{ TEMPORAL_ADDRESS: 'temporal2:7233', KEYSTRIDE_PLAINTEXT: 'temporal' }, false],
])(
  'Temporal is reached in the open on this machine, or where that is allowed by name: %o',
  (env, allowed) => {
    const load = () => loadConfig({ ...empty, ...env }, ['temporal']);
    if (allowed) expect(load().temporal.address).toBe(env.TEMPORAL_ADDRESS);
    else
      expect(refusal(load).message).toMatch(
        /TEMPORAL_ADDRESS is .* would not be encrypted.*KEYSTRIDE_PLAINTEXT=/u,
      );
  },
);

test('an address that is none is not shown, whatever stands in it', () => {
  const load = () => loadConfig({ ...empty, TEMPORAL_ADDRESS: 'https://s3cret@10.0.0.7' }, ['temporal']);
  expect(refusal(load).problems).toHaveLength(1);
  expect(refusal(load).message).not.toContain('s3cret');
});

test('who does not talk to Temporal may have its address as it is', () => {
  const env = { ...empty, TEMPORAL_ADDRESS: 'temporal:7233', DATABASE_URL: 'postgres://a@db/x' };
  expect(loadConfig(env, ['databaseUrl']).temporal?.address).toBe('temporal:7233');
});

test('a stack whose supervisor has died lends no address, and the error says that it died', () => {
  runningStack({ mongodbUrl: 'mongodb://127.0.0.1:3/x' }, 'another start');
  expect(refusal(() => loadSettings(empty, ['mongodbUrl'])).message).toContain('has died');
});

test('sizes are bytes or powers of two of them', () => {
  const bytes = (text: string) => loadConfig({ ...empty, KEYSTRIDE_BYTES_IN_FLIGHT: text }).bytesInFlight;
  expect([bytes(''), bytes('1024'), bytes('64KiB'), bytes('2 GiB')]).toEqual([
    2 ** 28,
    1024,
    2 ** 16,
    2 ** 31,
  ]);
});

test('a build is named by its deployment and its id, both or neither', () => {
  const version = { KEYSTRIDE_DEPLOYMENT: 'nightly', KEYSTRIDE_BUILD_ID: '1.2.0' };
  expect(loadConfig(empty).build).toBeUndefined();
  expect(loadConfig({ ...empty, ...version }).build).toEqual({ deployment: 'nightly', buildId: '1.2.0' });
  const without = (variable: string) =>
    refusal(() => loadConfig({ ...empty, ...version, [variable]: '' })).message;
  expect(without('KEYSTRIDE_BUILD_ID')).toMatch(
    /KEYSTRIDE_BUILD_ID is not set, but KEYSTRIDE_DEPLOYMENT is/u,
  );
  expect(without('KEYSTRIDE_DEPLOYMENT')).toMatch(
    /KEYSTRIDE_DEPLOYMENT is not set, but KEYSTRIDE_BUILD_ID is/u,
  );
  const dotted = { ...empty, ...version, KEYSTRIDE_DEPLOYMENT: 'jobs.nightly' };
  expect(refusal(() => loadConfig(dotted)).problems).toEqual([
    { variable: 'KEYSTRIDE_DEPLOYMENT', problem: 'must hold no dot, colon or space: jobs.nightly' },
  ]);
});

test('the cache is below the home unless it is chosen', () => {
  expect([homeOf(empty), cacheOf(empty)]).toEqual([home, path.join(home, 'cache')]);
  expect(cacheOf({ ...empty, KEYSTRIDE_CACHE: '/elsewhere' })).toBe('/elsewhere');
});

test.each([
  ['postgres://ann:pw@db:5432/x', 'postgres://db:5432/x'],
  ['postgres://ann:p@s/s@db/x?sslmode=require&password=pw', 'postgres://db/x?sslmode=require'],
  ['mongodb://ann:pw@a:1,b:2/x?replicaSet=r', 'mongodb://a:1,b:2/x?replicaSet=r'],
  ['mongodb+srv://token@cluster.test', 'mongodb+srv://cluster.test'],
  ['temporal.test:7233', 'temporal.test:7233'],
  ['host=db password=pw', '(not shown: not a URL)'],
])('%s is shown as %s', (address, shown) => {
  expect(withoutCredentials(address)).toBe(shown);
});

function refusal(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

function runningStack(
  addresses: Record<string, string>,
  started = identityOf(process.pid)?.started ?? '',
): void {
  writeState(home, {
    version: 2,
    status: 'up',
    supervisor: { pid: process.pid, started },
    startedAt: new Date().toISOString(),
    addresses,
    processes: [],
  });
}

test('a worker never takes the addresses of a development stack', () => {
  runningStack({ databaseUrl: 'postgres://a@127.0.0.1:3/stack' });
  expect(refusal(() => loadConfig(empty, ['databaseUrl'])).problems).toMatchObject([
    { variable: 'DATABASE_URL' },
  ]);
});

test('alerts go nowhere unless asked for, and the address of a webhook is never shown', () => {
  expect(loadConfig(empty).alerts).toEqual({ format: 'json' });
  const env = { ...empty, ALERT_WEBHOOK_URL: 'https://hooks.test/t0ken', ALERT_FORMAT: 'slack' };
  expect(loadConfig(env).alerts).toEqual({ format: 'slack', webhookUrl: 'https://hooks.test/t0ken' });
  const wrong = { ...env, ALERT_WEBHOOK_URL: 'hooks.test/t0ken', DEAD_LETTER_WEBHOOK_URL: 'ftp://x/t0ken' };
  const error = refusal(() => loadConfig({ ...wrong, ALERT_FORMAT: 'smoke' }));
  expect(error.problems.map(({ variable }) => variable).toSorted()).toEqual(
    ['ALERT_FORMAT', 'ALERT_WEBHOOK_URL', 'DEAD_LETTER_WEBHOOK_URL'].toSorted(),
  );
  expect(error.message).not.toContain('t0ken');
});
