import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { reporterOf } from '../../packages/keystride/src/dev/progress.ts';
import { forgetOthers, workflowBundle } from '../../packages/keystride/src/dev/workflow-bundle.ts';
import { defineConfig } from '../../packages/keystride/src/config.ts';

test('only bundles that nobody has used for days are removed, however many there are', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-bundle-cache-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const made = (name: string, daysAgo: number) => {
    const file = path.join(directory, name);
    writeFileSync(file, '');
    const then = new Date(Date.now() - daysAgo * 86_400_000);
    utimesSync(file, then, then);
    return file;
  };
  const recent = Array.from({ length: 30 }, (_, index) => made(`recent-${index}.js`, 2));
  made('old.js', 4);
  const current = made('current.js', 5);
  forgetOthers(directory, current);
  expect(readdirSync(directory).toSorted()).toEqual(
    [...recent, current].map((file) => path.basename(file)).toSorted(),
  );
});

test('the workflows are bundled again when something changes that is in the bundle, and then alone', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'keystride-bundled-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  symlinkSync(path.join(import.meta.dirname, '../../node_modules'), path.join(root, 'node_modules'));
  mkdirSync(path.join(root, 'src'));
  const write = (name: string, text: string) => {
    const file = path.join(root, name);
    writeFileSync(file, text);
    // An editor that is not at work while the bundle is made.
    const before = new Date(Date.now() - 60_000);
    utimesSync(file, before, before);
  };
  write('package.json', '{"type": "module"}');
  write('src/workflows.ts', "export { noted } from './noted.ts';");
  write('src/noted.ts', "export const noted = () => Promise.resolve('first');");
  write('src/noted.test.ts', 'first');
  const config = defineConfig({
    jobs: [],
    workflows: 'src/workflows.ts',
    worker: () => import('node:path') as never,
  });
  let made = 0;
  const bundle = async () => {
    const report = reporterOf('bundles', () => made++);
    const file = await workflowBundle({ root, file: '', config }, root, report);
    return { text: readFileSync(file, 'utf8').replace(/sourceMappingURL.*/u, ''), made };
  };
  expect(await bundle()).toMatchObject({ text: expect.stringContaining('first') as string, made: 1 });
  write('src/noted.test.ts', 'second');
  write('src/activities.ts', 'second');
  expect(await bundle()).toMatchObject({ made: 1 });
  write('src/noted.ts', "export const noted = () => Promise.resolve('second');");
  expect(await bundle()).toMatchObject({ text: expect.stringContaining('second') as string, made: 2 });
  write('src/noted.ts', "export const noted = () => Promise.resolve('first');");
  expect(await bundle()).toMatchObject({ text: expect.stringContaining('first') as string, made: 2 });
  // Written as if it had been while the bundle was made: what it holds nobody knows.
  write('src/noted.ts', "export const noted = () => Promise.resolve('third');");
  const later = new Date(Date.now() + 3_600_000);
  utimesSync(path.join(root, 'src/noted.ts'), later, later);
  expect(await bundle()).toMatchObject({ made: 3 });
  expect(await bundle()).toMatchObject({ made: 4 });
});
