import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keystride } from './support.ts';

const hook = pathToFileURL(path.join(import.meta.dirname, '../support/loaded-modules.ts')).href;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keystride-loads-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** The packages that a command loads, and the files of this repository, relative to it. */
async function loadedBy(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ packages: string[]; files: string[] }> {
  const LOADED_MODULES = path.join(directory, words.join('_'));
  const options = { NODE_OPTIONS: `--import=${hook}`, LOADED_MODULES };
  await keystride(words, { ...environment, ...options });
  const urls = (await readFile(LOADED_MODULES, 'utf8')).split('\n').filter((url) => url.startsWith('file:'));
  const packages = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(url)?.[1] ?? []);
  const root = pathToFileURL(`${path.join(import.meta.dirname, '../..')}${path.sep}`).href;
  const files = urls.flatMap((url) => (url.includes('/node_modules/') ? [] : url.replace(root, '')));
  return { packages: [...new Set(packages)].toSorted(), files };
}

test('help, and a mistake in the command line, load what prints them', async () => {
  for (const words of [['--help'], ['help'], ['frobnicate'], []])
    expect((await loadedBy(words)).packages, words.join(' ')).toEqual(['commander', 'picocolors']);
});

test('the version is told without reading the project', async () => {
  const { packages, files } = await loadedBy(['--version']);
  expect(packages).toEqual(['commander', 'picocolors']);
  expect(files.filter((file) => !file.startsWith('packages/'))).toEqual([]);
});

test('the help of a command loads that command and no other', async () => {
  const { files } = await loadedBy(['help', 'worker']);
  const of = (name: string) => `packages/keystride/src/cli/${name}.ts`;
  expect(files).toContain(of('worker'));
  expect(files).not.toContain(of('status'));
  expect(files).not.toContain(of('dev'));
});

test('what looks at a run or controls it loads a client of Temporal, and neither workers nor databases', async () => {
  for (const words of [
    ['status', 'x'],
    ['status', 'x', '-o', 'json'],
    ['pause', 'x'],
  ]) {
    const { packages, files } = await loadedBy([...words, '--help']);
    expect(packages, words.join(' ')).toContain('@temporalio/client');
    for (const heavy of heavyPackages) expect(packages, words.join(' ')).not.toContain(heavy);
    expect(
      files.filter((file) => file.startsWith('src/')),
      words.join(' '),
    ).toEqual([]);
  }
});

/** What workers, the development stack and the ledger are made of. */
const heavyPackages = [
  '@temporalio/worker',
  '@temporalio/core-bridge',
  'webpack',
  'mongodb',
  'kysely',
  'pg',
  'undici',
  'pino',
  'log-update',
];
