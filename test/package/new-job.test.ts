import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keystrideProcess } from '../cli/support.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

const root = path.join(import.meta.dirname, '../..');

let place: string;
let database: TestDatabase;

beforeAll(async () => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-new-job-'));
  database = await testDatabase('target');
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`
    CREATE TYPE colour AS ENUM ('red', 'green');
    CREATE TABLE voucher (
      shop int NOT NULL, code varchar(20) NOT NULL, worth numeric(8, 2), used boolean NOT NULL DEFAULT false,
      valid_until timestamptz NOT NULL, shade colour NOT NULL, "odd 'name" jsonb, PRIMARY KEY (shop, code));
    CREATE SCHEMA billing;
    CREATE TABLE billing.line (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, amount bigint NOT NULL);
    CREATE TABLE keyless (amount int UNIQUE)`);
  await client.end();
});

afterAll(async () => {
  await database?.drop();
  rmSync(place, { recursive: true, force: true });
});

/** Runs a tool of ours. */
function runs(directory: string, tool: string, ...words: string[]) {
  const program = path.join(root, 'node_modules/.bin', tool);
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: directory, encoding: 'utf8' });
  return { passed: status === 0, output: `${stdout}\n${stderr}` };
}

/** What it has said is shown when it has not passed. */
function expectPassed({ passed, output }: { readonly passed: boolean; readonly output: string }): void {
  expect(passed, output).toBe(true);
}

/** A new project, whose packages are ours. */
async function project(name: string): Promise<string> {
  const directory = path.join(place, name);
  expect(await keystrideProcess(['init', directory])).toMatchObject({ exitCode: 0 });
  symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'));
  return directory;
}

function newJob(directory: string, ...words: string[]) {
  const env = {
    KEYSTRIDE_CONFIG: path.join(directory, 'keystride.config.ts'),
    DATABASE_URL: database.url,
  };
  return keystrideProcess(['new', 'job', ...words], env);
}

test(
  'jobs written into a new project, over tables and without, pass its types, its style and their tests',
  { timeout: 400_000 },
  async () => {
    const shop = await project('shop');
    for (const words of [
      ['voucherExpiry', '--table', 'voucher'],
      ['lineCheck', '--table', 'billing.line'],
      ['somethingElse'],
    ])
      expect(await newJob(shop, ...words)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(path.join(shop, 'src/activities/voucher-expiry.ts'), 'utf8')).toContain(
      `const key = ['shop', 'code'] as const;`,
    );
    expectPassed(runs(shop, 'prettier', '--check', '.'));
    expectPassed(runs(shop, 'tsc', '--noEmit'));
    expectPassed(runs(shop, 'vitest', 'run'));
  },
);

test(
  'a job written into this repository passes lint, types and its own test',
  { timeout: 240_000 },
  async () => {
    const checkout = path.join(place, 'checkout');
    mkdirSync(checkout);
    const copied = [
      'src',
      'test',
      'bench',
      'packages',
      'keystride.config.ts',
      'package.json',
      'tsconfig.json',
    ];
    for (const name of [...copied, 'vitest.config.ts', '.oxlintrc.json', '.prettierrc.json'])
      cpSync(path.join(root, name), path.join(checkout, name), { recursive: true });
    symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'));
    const written = await newJob(checkout, 'invoiceReminder', '-o', 'json');
    expect(written.exitCode).toBe(0);
    const { files } = written.json() as { files: string[] };
    expect(files).toEqual([
      'src/contract/invoice-reminder.ts',
      'src/workflows/invoice-reminder.ts',
      'src/activities/invoice-reminder.ts',
      'test/jobs/invoice-reminder.test.ts',
      'src/contract/index.ts',
      'src/workflows/index.ts',
      'src/activities/index.ts',
    ]);
    expectPassed(runs(checkout, 'prettier', '--check', ...files));
    expectPassed(runs(checkout, 'oxlint', '--type-aware', ...files));
    expectPassed(runs(checkout, 'vitest', 'run', '--project', 'fast', files[3] ?? ''));
  },
);

test.each([
  ['no name of a job', ['InvoiceReminder'], 'no name for a job'],
  ['a job that is there', ['invoiceReminder'], 'there is a workflow invoiceReminder already'],
  ['a workflow of the engine', ['redrive'], 'there is a workflow redrive already'],
  ['a table without a key', ['another', '--table', 'keyless'], 'ADD PRIMARY KEY'],
  ['no table', ['another', '--table', 'nowhere'], 'there is no table nowhere'],
  ['a table that would be in the way', ['voucher', '--table', 'billing.line'], 'a table voucher already'],
])('%s is refused, and nothing is written', async (_what, words, told) => {
  const directory = await project(`refused-${crypto.randomUUID().slice(0, 8)}`);
  const before = readFileSync(path.join(directory, 'src/activities/index.ts'), 'utf8');
  const { exitCode, stderr } = await newJob(directory, ...words);
  expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining(told) as string });
  expect(readFileSync(path.join(directory, 'src/activities/index.ts'), 'utf8')).toBe(before);
});

test('init leaves alone what is there, and refuses a directory that cannot name a project', async () => {
  const directory = await project('twice');
  const again = await keystrideProcess(['init', directory, '-o', 'json']);
  expect(again).toMatchObject({ exitCode: 2 });
  expect(again.json()).toMatchObject({
    error: { message: expect.stringContaining('package.json') as string },
  });
  const strange = await keystrideProcess(['init', path.join(place, 'A shop!')]);
  expect(strange).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('no name for a project') as string,
  });
});

test('the versions of a new project are those that this repository is tried with', () => {
  const manifest = (file: string) =>
    JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Record<string, Record<string, string>>;
  const ours = manifest('package.json');
  const known = { ...ours['dependencies'], ...ours['devDependencies'] };
  const { dependencies, devDependencies } = manifest('packages/keystride/templates/project/package.json');
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    expect({ name, version }).toEqual({ name, version: known[name] });
});
