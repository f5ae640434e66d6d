import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeJob } from '../../packages/keystride/src/cli/new-job.ts';
import { packageRoot } from '../../packages/keystride/src/dev/own-files.ts';

let checkout: string;

/** A copy of this checkout, to write into. */
beforeAll(() => {
  checkout = mkdtempSync(path.join(tmpdir(), 'keystride-new-job-'));
  const copied = ['src', 'test', 'bench', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
  for (const name of [...copied, '.oxlintrc.json', '.prettierrc.json'])
    cpSync(path.join(packageRoot, name), path.join(checkout, name), { recursive: true });
  symlinkSync(path.join(packageRoot, 'node_modules'), path.join(checkout, 'node_modules'));
});

afterAll(() => rmSync(checkout, { recursive: true, force: true }));

/** Runs a tool of ours in the copy. */
function runs(tool: string, ...words: string[]): { status: number | null; output: string } {
  const program = path.join(packageRoot, 'node_modules/.bin', tool);
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: checkout, encoding: 'utf8' });
  return { status, output: `${stdout}\n${stderr}` };
}

const passes = { status: 0 };

test('a new job passes lint, types and its own test as it is', { timeout: 240_000 }, async () => {
  const files = await writeJob(checkout, 'invoiceReminder');
  expect(files).toEqual([
    'src/contract/invoice-reminder.ts',
    'src/workflows/invoice-reminder.ts',
    'src/activities/invoice-reminder.ts',
    'test/jobs/invoice-reminder.test.ts',
    'src/contract/index.ts',
    'src/workflows/index.ts',
    'src/activities/index.ts',
  ]);
  expect(readFileSync(path.join(checkout, 'src/workflows/index.ts'), 'utf8')).toContain(
    `export { invoiceReminder } from './invoice-reminder.ts';`,
  );
  expect(runs('prettier', '--check', ...files)).toMatchObject(passes);
  expect(runs('oxlint', '--type-aware', ...files)).toMatchObject(passes);
  expect(runs('tsc', '--noEmit')).toMatchObject(passes);
  expect(runs('vitest', 'run', '--project', 'fast', 'test/jobs/invoice-reminder.test.ts')).toMatchObject(
    passes,
  );
});

test('a name that is no name, or is taken, is refused, and nothing is written', async () => {
  const before = readFileSync(path.join(checkout, 'src/workflows/index.ts'), 'utf8');
  await expect(writeJob(checkout, 'InvoiceReminder')).rejects.toThrow('no name for a job');
  await expect(writeJob(checkout, 'targetSync')).rejects.toThrow('already');
  await expect(writeJob(checkout, 'redrive')).rejects.toThrow('already');
  await expect(writeJob(tmpdir(), 'somethingNew')).rejects.toThrow('cannot be read');
  expect(readFileSync(path.join(checkout, 'src/workflows/index.ts'), 'utf8')).toBe(before);
});
