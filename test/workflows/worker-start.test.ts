import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});

afterAll(() => world?.dispose());

/** Runs a worker that is not expected to come up. */
async function startedWith(changed: NodeJS.ProcessEnv): Promise<{ exitCode: unknown; stderr: string }> {
  const program = path.join(import.meta.dirname, '../../src/worker.ts');
  const child = spawn(process.execPath, [program], {
    env: { ...world.environment, LOG_LEVEL: 'error', ...changed },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [exitCode] = (await once(child, 'close')) as unknown[];
  return { exitCode, stderr };
}

const required = ['DATABASE_URL', 'SOURCE_DATABASE_URL', 'MONGODB_URL', 'LEGACY_API_URL', 'TEMPORAL_ADDRESS'];

test('a worker without a setting names its variable, all that are missing at once', async () => {
  const nothing = Object.fromEntries(required.map((name) => [name, undefined]));
  const { exitCode, stderr } = await startedWith(nothing);
  expect(exitCode).toBe(1);
  for (const name of required) expect(stderr).toContain(name);
  expect(stderr).toMatch(/is not set/);
  expect(stderr).toContain('keystride dev');
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('a malformed setting is named with its variable and without its password', async () => {
  const { exitCode, stderr } = await startedWith({
    DATABASE_URL: 'mysql://user:hidden-word@127.0.0.1:3306/x',
    KEYSTRIDE_BYTES_IN_FLIGHT: 'plenty',
  });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/DATABASE_URL.*is not like postgres:/);
  expect(stderr).toMatch(/KEYSTRIDE_BYTES_IN_FLIGHT.*plenty/);
  expect(stderr).not.toContain('hidden-word');
});

test('a namespace that Temporal does not have is named as the setting that is wrong', async () => {
  const { exitCode, stderr } = await startedWith({ TEMPORAL_NAMESPACE: 'elsewhere' });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/Temporal has no such namespace.*TEMPORAL_NAMESPACE/u);
});

test('a queue for a job that the worker does not have is a misspelt name', async () => {
  const { exitCode, stderr } = await startedWith({ KEYSTRIDE_QUEUES: 'documentsMigration=documents' });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /KEYSTRIDE_QUEUES names no job of this worker: documentsMigration; it has .*documentMigration/,
  );
});

// Port 1 is nobody's.
const away = [
  ['the database', 'DATABASE_URL', 'postgres://user:hidden-word@127.0.0.1:1/away'],
  ['the source database', 'SOURCE_DATABASE_URL', 'postgres://user:hidden-word@127.0.0.1:1/away'],
  ['MongoDB', 'MONGODB_URL', 'mongodb://user:hidden-word@127.0.0.1:1/away'],
  ['Temporal', 'TEMPORAL_ADDRESS', '127.0.0.1:1'],
] as const;

test.concurrent.for(away)(
  'a worker that cannot reach %s says so, where, and what to check',
  { timeout: 60_000 },
  async ([part, variable, address]) => {
    const { exitCode, stderr } = await startedWith({ [variable]: address });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`the worker cannot reach ${part} at `);
    expect(stderr).toContain('127.0.0.1:1');
    expect(stderr).toContain(`Check that it is up and that ${variable} is right.`);
    expect(stderr).not.toContain('hidden-word');
  },
);

test('a wrong password is told at once, and not shown', async () => {
  const wrong = new URL(world.databaseUrl);
  wrong.password = 'hidden-word';
  const started = performance.now();
  const { exitCode, stderr } = await startedWith({ DATABASE_URL: wrong.href });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/cannot reach the database at .*authentication failed/);
  expect(stderr).not.toContain('hidden-word');
  expect(performance.now() - started).toBeLessThan(14_000);
});

test('a database without the ledger is named with the command that makes it', async () => {
  const { exitCode, stderr } = await startedWith({ DATABASE_URL: world.sourceDatabaseUrl });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /the database at .*: the tables of keystride are missing.* Run: npx keystride migrate/,
  );
});
