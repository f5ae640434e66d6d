import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { refuseTwoCopies } from '../../packages/keystride/src/host/package-copies.ts';

const root = path.join(import.meta.dirname, '../..');
const installed = path.join(root, 'node_modules');
const program = path.join(root, 'packages/keystride/src/host/worker-program.ts');

let version: string;

beforeAll(() => {
  const manifest = readFileSync(path.join(installed, '@temporalio/workflow/package.json'), 'utf8');
  ({ version } = JSON.parse(manifest) as { version: string });
});

/** A project beside the repository whose packages are the repository's, but for one of which it has a copy. */
async function projectWithCopyOf(name: string, change?: { readonly version: string }): Promise<string> {
  const project = await realpath(mkdtempSync(path.join(tmpdir(), 'keystride-copies-')));
  onTestFinished(() => rmSync(project, { recursive: true }));
  const packages = path.join(project, 'node_modules');
  mkdirSync(path.join(packages, '@temporalio'), { recursive: true });
  if (name === 'keystride') copyOfKeystride(path.join(packages, name));
  else {
    symlinkSync(path.join(root, 'packages/keystride'), path.join(packages, 'keystride'));
    cpSync(path.join(installed, name), path.join(packages, name), { recursive: true });
  }
  if (change) {
    const manifest = path.join(packages, name, 'package.json');
    writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), ...change }));
  }
  writeFileSync(
    path.join(project, 'keystride.config.mjs'),
    `import { defineConfig } from 'keystride/config';
export default defineConfig({ jobs: [], workflows: './workflows.js', worker: () => ({ resources: {}, jobs: () => [] }) });`,
  );
  return project;
}

/** As much of it as a configuration imports. */
function copyOfKeystride(to: string): void {
  for (const name of ['package.json', 'src'])
    cpSync(path.join(root, 'packages/keystride', name), path.join(to, name), { recursive: true });
}

test('the packages of this repository are there once', () => {
  expect(() => refuseTwoCopies(path.join(root, 'keystride.config.ts'))).not.toThrow();
});

test('a project that has none of them itself takes those of keystride', () => {
  expect(() => refuseTwoCopies(path.join(tmpdir(), 'keystride.config.ts'))).not.toThrow();
});

test('a second copy is named with both places, and with what to do', async () => {
  const project = await projectWithCopyOf('@temporalio/workflow');
  const start = () => refuseTwoCopies(path.join(project, 'keystride.config.mjs'));
  expect(start).toThrow(
    `@temporalio/workflow is installed 2 times: ` +
      `@temporalio/workflow ${version} in ${path.join(installed, '@temporalio/workflow')} (keystride); ` +
      `@temporalio/workflow ${version} in ${path.join(project, 'node_modules/@temporalio/workflow')} (the project)`,
  );
  expect(start).toThrow('npm ls @temporalio/workflow');
});

test('a second copy of keystride itself is named with both places, and with what to do', async () => {
  const project = await projectWithCopyOf('keystride');
  const { version: own } = JSON.parse(
    readFileSync(path.join(root, 'packages/keystride/package.json'), 'utf8'),
  ) as { version: string };
  const start = () => refuseTwoCopies(path.join(project, 'keystride.config.mjs'));
  expect(start).toThrow(
    `keystride is installed 2 times: keystride ${own} in ${path.join(root, 'packages/keystride')} (this worker); ` +
      `keystride ${own} in ${path.join(project, 'node_modules/keystride')} (the project)`,
  );
  expect(start).toThrow('npx keystride worker');
});

test('a worker of such a project ends before it connects to anything', async () => {
  const project = await projectWithCopyOf('@temporalio/common', { version: '1.0.0' });
  const env = { PATH: process.env['PATH'], KEYSTRIDE_CONFIG: path.join(project, 'keystride.config.mjs') };
  const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [program], { env, timeout: 60_000 }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(ended.stderr).toContain('@temporalio/common is installed 2 times');
  expect(ended.stderr).toContain(`@temporalio/common 1.0.0 in ${project}`);
  expect(ended.code).toBe(1);
});
