import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { keystrideProcess } from './support.ts';

test('what a worker loads is kept compiled beside its bundle', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'keystride-bundle-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const cache = path.join(directory, 'compiled');
  const environment = { NODE_COMPILE_CACHE: cache };
  const bundle = path.join(directory, 'workflows.js');
  expect(await keystrideProcess(['bundle', bundle], environment)).toMatchObject({ exitCode: 0, stderr: '' });
  const kept = await readdir(cache, { recursive: true });
  // A worker that lacks its addresses has loaded everything when it says so. All but its own first lines were compiled.
  const worker = spawnSync(process.execPath, ['src/worker.ts'], { env: environment, encoding: 'utf8' });
  expect(worker).toMatchObject({ status: 1, stderr: expect.stringContaining('DATABASE_URL') as string });
  expect(kept.length).toBeGreaterThan(1_000);
  const more = (await readdir(cache, { recursive: true })).filter((file) => !kept.includes(file));
  expect(more.length).toBeLessThanOrEqual(2);
});
