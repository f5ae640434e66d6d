import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createWorld, type World } from 'keystride/testing/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { keystride } from '../cli/support.ts';
import { testConsole, type TestConsole } from '../console/support.ts';
import { type Collector, startCollector } from '../support/collector.ts';
import { theMember } from '../support/jobs/member-items.ts';
import { leftBehind } from '../support/left-behind.ts';

/** A sensitive parameter, and every secret of the deployment: none of them may stand anywhere but encrypted. */
const pin = 'canary-of-a-pin';
const secrets = {
  token: 'canary-of-a-console-token',
  webhook: 'canary-of-a-webhook',
  encryption: randomBytes(32).toString('base64'),
  hash: randomBytes(32).toString('base64'),
};

let world: World;
let console: TestConsole;
let collector: Collector;
let metrics: string;
let told: string[];
let id: string;

/** Some twenty commands, on servers of its own. */
const minutes = { timeout: 300_000 };

beforeAll(async () => {
  writeFileSync(memberFile, `${theMember}\n`);
  collector = await startCollector();
  metrics = `127.0.0.1:${await freePort()}`;
  world = await createWorld({
    config: path.join(import.meta.dirname, '../support/jobs/members/keystride.config.ts'),
    ownServers: true,
    environment: {
      KEYSTRIDE_ENCRYPTION_KEYS: `2026-11=${secrets.encryption},hash=${secrets.hash}`,
      KEYSTRIDE_CONSOLE_TOKEN: secrets.token,
      ALERT_WEBHOOK_URL: `${collector.url}/${secrets.webhook}`,
      KEYSTRIDE_TRACES: collector.url,
    },
  });
  // What is not set would be the word undefined.
  Object.assign(process.env, JSON.parse(JSON.stringify(world.environment)));
  await world.startWorker({ environment: { KEYSTRIDE_METRICS: metrics, LOG_LEVEL: 'debug' } });
  console = await testConsole(world.environment);
  told = [];
});

afterAll(async () => {
  await console?.stop();
  await world?.dispose();
  collector?.stop();
  rmSync(memberFile, { force: true });
});

/** What a command has printed, which is looked through at the end. */
async function command(words: readonly string[], exitCode = 0): Promise<string> {
  const { stdout, stderr, exitCode: code } = await keystride(words, world.environment);
  expect(code, `${words.join(' ')}\n${stdout}${stderr}`).toBe(exitCode);
  told.push(stdout, stderr);
  return stdout;
}

/** A page and its JSON, likewise. */
async function page(address: string): Promise<string> {
  const headers = { authorization: `Bearer ${secrets.token}` };
  const answers = [
    await console.send(address, { headers }),
    await console.send(`/api${address}`, { headers }),
  ];
  const texts = answers.map(({ text, headers: sent }) => `${JSON.stringify(sent)}${text}`);
  told.push(...texts);
  expect(answers[0]?.status, `${address} ${texts.join('')}`).toBe(200);
  return texts.join('\n');
}

/** By a file, since others see a command line. */
const memberFile = path.join(tmpdir(), `keystride-member-${process.pid}`);
const given = ['--param-file', `memberId=${memberFile}`];

test('a run, its redrive, verification and schedule work with the value', minutes, async () => {
  const started = await command(['start', 'memberItems', ...given, '--watch', '-o', 'json'], 3);
  ({ workflowId: id } = JSON.parse(started.trimEnd().split('\n').at(-1) ?? '') as { workflowId: string });
  expect(id).toMatch(/^memberItems:memberId=hash:[0-9a-f]{32},run=1$/u);

  // Each of them has the hash alone, and its steps the value.
  expect(await command(['skips', id, 'list'])).toContain('KNOWN');
  await command(['skips', id, 'redrive', '--watch', '-o', 'json'], 3);
  expect(await command(['skips', id, 'list'])).not.toContain('UNKNOWN');
  expect(await command(['verify', id, '-o', 'json'])).toContain('"verified":true');

  // The same member is the same instance, which has completed; and what cannot be is refused without a word of it.
  expect(await command(['start', 'memberItems', ...given, '-o', 'json'], 1)).toContain('AlreadyComplete');
  writeFileSync(memberFile, `wrong ${pin}`);
  await command(['start', 'memberItems', ...given], 2);
  writeFileSync(memberFile, theMember);

  const schedule = ['schedule', 'create', 'memberItems', '--id', 'nightly', '--cron', '0 2 * * *'];
  await command([...schedule, ...given, '--param', 'run=2']);
  await command(['schedule', 'trigger', 'nightly']);
  await expect
    .poll(async () => (await keystride(['list', '-o', 'json'], world.environment)).stdout, {
      timeout: 60_000,
    })
    .toMatch(/memberId=hash:[0-9a-f]{32},run=2/u);
  for (const words of [
    ['status', id],
    ['status', id, '-o', 'json'],
    ['jobs', '-o', 'json'],
    ['audit', '-o', 'json'],
    ['schedule', 'describe', 'nightly', '-o', 'json'],
    ['plan', 'memberItems', ...given],
  ])
    await command(words);
  const doctor = await keystride(['doctor'], world.environment);
  told.push(doctor.stdout, doctor.stderr);
});

test('nothing that is left, shown or sent has a secret in it', minutes, async () => {
  const run = `/runs/${encodeURIComponent(id)}`;
  for (const address of ['/', run, `${run}/partitions/pass`, '/jobs', '/jobs/memberItems', '/schedules'])
    await page(address);
  for (const address of [
    '/schedules/nightly',
    '/skips',
    `/skips/${encodeURIComponent(id)}`,
    '/audit',
    '/health',
  ])
    await page(address);
  told.push(await (await fetch(`http://${metrics}/metrics`)).text(), ...collector.bodies);
  told.push(await leftBehind(world, { migration: world.database }));
  await world.servers.temporal.stop();
  told.push(databaseFile());
  await world.servers.temporal.restart();

  const everything = told.join('\n');
  expect(everything).toContain(id);
  for (const secret of [theMember, pin, ...Object.values(secrets)])
    expect(everything.includes(secret), secret).toBe(false);
});

test('a form takes it as a password, and does not give it back', async () => {
  const headers = { authorization: `Bearer ${secrets.token}` };
  const form = await console.send('/jobs/memberItems/start', { headers });
  expect(form.text).toMatch(/name="parameter\.memberId"[^>]*type="password"/u);
  const refused = await console.send('/jobs/memberItems/start', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: `parameter.memberId=wrong+${theMember}`,
  });
  expect(refused.status).toBe(422);
  const linked = await console.send(`/jobs/memberItems/start?parameter.memberId=${theMember}`, { headers });
  for (const { text } of [refused, linked]) expect(text).not.toContain(theMember);
});

test('without the key nothing is started', async () => {
  const environment = { ...world.environment, KEYSTRIDE_ENCRYPTION_KEYS: `2026-11=${secrets.encryption}` };
  const { exitCode, stderr } = await keystride(['start', 'memberItems', ...given], environment);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('hash=KEY');
  expect(stderr).not.toContain(theMember);
});

/** What the server has written, when it has ended. */
function databaseFile(): string {
  return readFileSync(path.join(world.servers.home, 'temporal.db'), 'latin1');
}
