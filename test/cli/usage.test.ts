import { expect, test } from 'vitest';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { keystride, keystrideProcess } from './support.ts';

const commands = [
  ['dev'],
  ['worker'],
  ['migrate'],
  ['jobs'],
  ['start'],
  ['status'],
  ['list'],
  ['pause'],
  ['resume'],
  ['stop'],
  ['skips'],
  ['verify'],
  ['demo-data', 'documents'],
  ['demo'],
];

test('every command explains itself with examples, and has --output and --debug', async () => {
  // Two at a time: other tests measure time on the same machine.
  for (let from = 0; from < commands.length; from += 2) {
    const pair = commands.slice(from, from + 2);
    const helps = await Promise.all(pair.map((command) => keystride([...command, '--help'])));
    for (const [index, { exitCode, stdout }] of helps.entries()) {
      expect(exitCode, pair[index]?.join(' ')).toBe(0);
      expect(stdout).toMatch(/--output/);
      expect(stdout).toMatch(/--debug/);
      expect(stdout).toMatch(/Examples:\n {2}\$ /);
    }
  }
});

test('a mistake in the command line ends with 2, and with one JSON value where that was asked for', async () => {
  const mistakes = [
    ['frobnicate'],
    ['status'],
    ['list', '--status', 'sleeping'],
    ['demo', '--documents', '-1'],
    [],
  ];
  for (const words of mistakes) {
    const result = await keystride([...words, '-o', 'json']);
    expect(result.exitCode, words.join(' ')).toBe(2);
    expect(result.json()).toMatchObject({ error: { type: 'Usage', message: expect.any(String) } });
    expect(result.stderr).not.toMatch(/\bat .*\.(ts|js):\d+/);
  }
});

test('the commands of dev print JSON wherever it is asked for', async () => {
  for (const words of [
    ['dev', 'status', '-o', 'json'],
    ['dev', '-o', 'json', 'status'],
    ['dev', 'status', '--output=json'],
  ]) {
    const { exitCode, json } = await keystride(words);
    expect(exitCode, words.join(' ')).toBe(1);
    expect(json()).toMatchObject({ running: false });
  }
  expect((await keystride(['dev', 'stop', '-o', 'json'])).json()).toEqual({ stopped: [] });
  expect((await keystride(['dev', 'worker', '-o', 'json'])).json()).toMatchObject({
    error: { message: 'no stack runs' },
  });
});

test('a failure is one JSON value, whichever command fails', async () => {
  const TEMPORAL_ADDRESS = '127.0.0.1:1';
  const DATABASE_URL = 'postgres://nobody:s3cret@127.0.0.1:1/nowhere';
  const all = {
    SOURCE_DATABASE_URL: DATABASE_URL,
    MONGODB_URL: 'mongodb://127.0.0.1:1',
    LEGACY_API_URL: 'http://127.0.0.1:1',
  };
  const failing = [
    ['start', 'targetSync'],
    ['status', 'x'],
    ['tune', 'x', '--concurrency', '2'],
    ['skips', 'x'],
    ['skips', 'x', 'export'],
    ['skips', 'x', 'redrive'],
    ['skips', 'x', 'waive', '--reason', 'r'],
    ['verify', 'x'],
    ['sync', 'list'],
    ['sync', 'rewind', 'x', '--to-start'],
    ['schedule', 'list'],
    ['schedule', 'delete', 'x'],
    ['demo-data', 'orders', '--count', '1'],
    ['migrate'],
    ['new', 'job', 'not a name'],
  ];
  for (let from = 0; from < failing.length; from += 3)
    await Promise.all(
      failing.slice(from, from + 3).map(async (words) => {
        const environment = { TEMPORAL_ADDRESS, DATABASE_URL, ...all };
        const { exitCode, stdout, stderr, json } = await keystride([...words, '-o', 'json'], environment);
        expect([1, 2], words.join(' ')).toContain(exitCode);
        const { error } = json() as { error: { type: string; message: string } };
        expect(error, words.join(' ')).toMatchObject({
          type: expect.any(String),
          message: expect.any(String),
        });
        expect(error.type, words.join(' ')).not.toBe('Defect');
        expect(stdout.trimEnd().split('\n'), words.join(' ')).toHaveLength(1);
        expect(stdout + stderr).not.toContain('s3cret');
      }),
    );
}, 120_000);

test('a job that is not there, and parameters that are wrong, are named', async () => {
  const noJob = await keystride(['start', 'nightly', '-o', 'json']);
  expect(noJob).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/evenNumbers, .*targetSync, .*documentMigration/),
  });
  const wrong = await keystride([
    'start',
    'documentMigration',
    '--param',
    'run=x',
    '--param',
    'color=red',
    '-o',
    'json',
  ]);
  expect(wrong.exitCode).toBe(2);
  expect(wrong.json()).toMatchObject({
    error: { type: 'JobParametersInvalid', message: expect.stringMatching(/run: .*color/s) },
  });
});

test('the catalogue tells each job, its parameters and its steps', async () => {
  const { exitCode, json } = await keystride(['jobs', '-o', 'json']);
  expect(exitCode).toBe(0);
  expect(json()).toContainEqual(
    expect.objectContaining({
      name: 'documentMigration',
      parameters: expect.arrayContaining([
        expect.objectContaining({ name: 'run', default: 1, identifying: true }),
        expect.objectContaining({ name: 'inFlight', default: 300, identifying: false }),
      ]),
      steps: [
        { step: 'fetchAndStore', kind: 'chunk' },
        { step: 'verify', kind: 'verification' },
      ],
    }),
  );
});

test('a missing setting is named with its variable', async () => {
  const { exitCode, stderr } = await keystride(['list']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('TEMPORAL_ADDRESS is not set');
  expect(stderr).toContain('keystride dev --detach');
});

test('a Temporal that does not answer is named with its address', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const result = await keystride(['list', '-o', 'json'], { TEMPORAL_ADDRESS: address });
  expect(result.exitCode).toBe(1);
  expect(result.json()).toMatchObject({ error: { message: 'Temporal does not answer', where: address } });
});

test('a database that does not answer is named without its password', async () => {
  const DATABASE_URL = `postgres://somebody:s3cret@127.0.0.1:${await freePort()}/migration`;
  for (const words of [
    ['skips', 'x', 'list'],
    ['migrate', '--only', 'ledger'],
  ]) {
    const { exitCode, stdout, stderr } = await keystride([...words, '--debug', '-o', 'json'], {
      DATABASE_URL,
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('ECONNREFUSED');
    expect(stdout + stderr).not.toContain('s3cret');
  }
});

test('the options of a worker go before the environment', async () => {
  const words = [
    'worker',
    '--activities',
    '0',
    '--target-cpu',
    '80',
    '--target-memory',
    '81',
    '--queues',
    'a b',
  ];
  const fine = {
    KEYSTRIDE_ACTIVITIES: '3',
    KEYSTRIDE_TARGET_CPU: '0.5',
    KEYSTRIDE_WORKER_QUEUES: 'keystride',
  };
  const { exitCode, stderr } = await keystrideProcess(words, fine);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/KEYSTRIDE_ACTIVITIES [^;]*: 0;/u);
  expect(stderr).toMatch(/KEYSTRIDE_TARGET_CPU [^;]*: 80;/u);
  expect(stderr).toMatch(/KEYSTRIDE_TARGET_MEMORY [^;]*: 81;/u);
});
