import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobAlert } from '../../packages/keystride/src/contract/alerts.ts';
import { keystride } from '../cli/support.ts';
import { openStores, type Stores } from '../support/migration.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

const program = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');

let world: World;
let stores: Stores;
let outside: Server;
let alerts: JobAlert[];

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  alerts = [];
  outside = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      alerts.push(JSON.parse(body) as JobAlert);
      response.end();
    });
  });
  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  const url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}/`;
  await world.startWorker({ environment: { ALERT_WEBHOOK_URL: url } });
});

afterAll(async () => {
  outside?.closeAllConnections();
  outside?.close();
  await stores?.close();
  await world?.dispose();
});

/** The commands that an output offers: behind `next`, and at the end of what is to do. */
function hintsIn(text: string): string[] {
  const hint = /^ {2}(?:next |to do: | {4}).*?((?:npx )?keystride .*)$/gmu;
  return [...text.matchAll(hint)].flatMap(([, command]) => command ?? []);
}

/** Has bash run a command as it was read: `keystride`, by npx or not, is the program under test. */
function pasted(command: string): Promise<{ exitCode: number; output: string }> {
  const functions = `keystride() { '${process.execPath}' '${program}' "$@"; }; npx() { "$@"; }`;
  const script = `set -u; ${functions}\n${command}`;
  const env = { PATH: process.env['PATH'], NO_COLOR: '1', ...world.environment };
  const cwd = path.join(import.meta.dirname, '../..');
  return new Promise((resolve) => {
    execFile('bash', ['--norc', '-c', script], { env, cwd, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({
        exitCode: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
        output: stdout + stderr,
      }),
    );
  });
}

test('every command that a failing run offers can be pasted', async () => {
  const odd = `shop."it's $(echo odd) !x"`;
  await stores.migration.query(`CREATE SCHEMA shop; CREATE TABLE shop.k (id int PRIMARY KEY, v int)`);
  await stores.service.query(
    `CREATE SCHEMA shop; CREATE TABLE ${odd} (id int PRIMARY KEY, v text);
     INSERT INTO ${odd} VALUES (1, 'x'), (2, 'y'), (3, 'z')`,
  );
  const parameters = [`source=${odd}`, 'sink=shop.k', 'run=1', 'skipLimit=1', 'mode=incrementing'];
  const words = ['start', 'tableSync', ...parameters.flatMap((each) => ['--param', each])];
  const begun = await keystride([...words, '--watch'], world.environment);
  expect(begun.exitCode, begun.stdout + begun.stderr).toBe(1);
  const [alert] = await waitFor(() => alerts.length > 0 && alerts, { what: 'the alert' });
  const told = [begun.stdout, begun.stderr, alert?.next.map((line) => `  to do: ${line}`).join('\n') ?? ''];
  for (const more of [
    ['start', 'noSuchJob'],
    ['start', 'tableSync'],
    ['status', 'no such run'],
    ['verify', alert?.workflowId ?? ''],
    ['skips', alert?.workflowId ?? '', 'redrive', '--key', 'none'],
  ]) {
    const { stdout, stderr } = await keystride(more, world.environment);
    told.push(stdout, stderr);
  }
  const hints = [...new Set(told.flatMap(hintsIn))];
  for (const command of ['status', 'skips', 'start', 'jobs', 'list'])
    expect(
      hints.some((hint) => hint.includes(` ${command}`)),
      hints.join('\n'),
    ).toBe(true);
  for (const hint of hints) {
    const { exitCode, output } = await pasted(hint);
    expect([0, 1, 3], `${hint}\n${output}`).toContain(exitCode);
    expect(output, hint).not.toMatch(
      /too many arguments|unknown (option|command)|no job execution has the id/u,
    );
  }
});

test.each([
  ['start', 'evenNumbers', '--id', '-x'],
  ['schedule', 'create', 'evenNumbers', '--cron', '0 2 * * *', '--id', '-x'],
])('%s refuses an id that every command would take for an option', async (...words) => {
  const { exitCode, stderr } = await keystride(words, world.environment);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('begins with neither a dash');
});
