import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type World } from '../support/stack.ts';
import { type CommandResult, keystride, keystrideProcess } from './support.ts';

const hook = pathToFileURL(path.join(import.meta.dirname, '../support/loaded-modules.ts')).href;
let directory: string;
let world: World;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keystride-loads-'));
  world = await createWorld();
  await world.startWorker();
});

afterAll(async () => {
  await world?.dispose();
  await rm(directory, { recursive: true, force: true });
});

interface Loaded extends Pick<CommandResult, 'exitCode'> {
  readonly packages: readonly string[];
  /** Relative to this repository. */
  readonly files: readonly string[];
}

/** The packages that a command loads, and the files of this repository. */
async function loadedBy(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Loaded> {
  const LOADED_MODULES = path.join(directory, 'loaded');
  const { exitCode } = await keystrideProcess(words, {
    ...environment,
    NODE_OPTIONS: `--import=${hook}`,
    LOADED_MODULES,
  });
  const urls = (await readFile(LOADED_MODULES, 'utf8')).split('\n').filter((url) => url.startsWith('file:'));
  const packages = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(url)?.[1] ?? []);
  const root = pathToFileURL(`${path.join(import.meta.dirname, '../..')}${path.sep}`).href;
  const files = urls.flatMap((url) => (url.includes('/node_modules/') ? [] : url.replace(root, '')));
  return { exitCode, packages: [...new Set(packages)].toSorted(), files };
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

test('status of a run loads a client of Temporal, and neither workers nor databases', async () => {
  const start = await keystride(['start', 'evenNumbers', '--watch', '-o', 'json'], world.environment);
  const { workflowId } = start.json() as { workflowId: string };
  const json = await loadedBy(['status', workflowId, '-o', 'json'], world.environment);
  expect(json.exitCode).toBe(0);
  expect(json.packages).toContain('@temporalio/client');
  expect(json.packages.filter((name) => heavy.includes(name))).toEqual([]);
  // Nothing of the project was asked for.
  expect(json.files.filter((file) => !file.startsWith('packages/'))).toEqual([]);
  // What to do next, the run has said itself.
  const text = await loadedBy(['status', workflowId], world.environment);
  expect(text.exitCode).toBe(0);
  expect(text.packages).toEqual(json.packages);
  expect(text.files.toSorted()).toEqual(json.files.toSorted());
});

test('compiled code is kept where there is a cache, and nowhere else', async () => {
  const cache = path.join(directory, 'cache');
  // The tests' own processes keep theirs, and a command in them would too.
  const own = { NODE_COMPILE_CACHE: undefined };
  const jobs = async (KEYSTRIDE_CACHE: string) =>
    (await keystrideProcess(['jobs'], { ...own, KEYSTRIDE_CACHE })).exitCode;
  expect(await jobs(cache)).toBe(0);
  expect(existsSync(cache)).toBe(false);
  await mkdir(cache);
  expect(await jobs(cache)).toBe(0);
  expect(await readdir(path.join(cache, 'compiled'))).toHaveLength(1);
  const unusable = path.join(directory, 'no-directory');
  await writeFile(unusable, '');
  expect(await jobs(unusable)).toBe(0);
});

/** What workers, the development stack, the ledger and the bars of a terminal are made of. */
const heavy = [
  ...[
    '@temporalio/worker',
    '@temporalio/core-bridge',
    '@temporalio/workflow',
    '@swc/core',
    'webpack',
    'pino',
  ],
  ...['kysely', 'pg', 'mongodb', 'undici', 'log-update', 'csv-parse'],
];
