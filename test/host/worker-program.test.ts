import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const library = path.join(import.meta.dirname, '../../packages/keystride');

test('a worker whose project lacks a package says which, and where', async () => {
  const project = mkdtempSync(path.join(tmpdir(), 'keystride-project-'));
  onTestFinished(() => rmSync(project, { recursive: true }));
  mkdirSync(path.join(project, 'node_modules'));
  symlinkSync(library, path.join(project, 'node_modules/keystride'));
  const config = path.join(project, 'keystride.config.mjs');
  writeFileSync(
    config,
    `import { defineConfig } from 'keystride/config';
export default defineConfig({ jobs: [], workflows: './workflows.js', worker: () => import('./work.mjs') });`,
  );
  writeFileSync(path.join(project, 'work.mjs'), `import 'not-installed';`);
  const program = path.join(library, 'src/host/worker-program.ts');
  const env = { PATH: process.env['PATH'], KEYSTRIDE_CONFIG: config };
  const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [program], { env, timeout: 60_000 }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(ended.stderr).toContain(
    `what a worker works with cannot be loaded: Cannot find package 'not-installed'`,
  );
  expect(ended.stderr).toContain(config);
  expect(ended.code).toBe(1);
});
