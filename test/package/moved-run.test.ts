import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { addTargets, expectGoneOn, ledgerCounters, openStores, type Stores } from '../support/migration.ts';
import { installOldestNode, installWords } from '../support/npm.ts';
import { presentBuild } from '../support/released-build.ts';
import { createWorld, type TestWorker, waitFor, type World } from '../support/stack.ts';

/** The workers of a run move to another release of what they run on in its middle, and back. */

/** Workers on an older release of something. */
interface Older {
  start(): Promise<TestWorker>;
  /** Whether a worker is on it. */
  isOn(worker: TestWorker): boolean;
}

/** Of Temporal's packages two releases back: the oldest that has all that the library asks of them. */
const olderSdk = '1.22.0';
const scope = path.join(import.meta.dirname, '../../node_modules/@temporalio');
const present = process.execPath;
const documents = 200;

let place: string;
let world: World;
let stores: Stores;

beforeAll(() => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-moved-'));
});

afterEach(async () => {
  await stores?.close();
  await world?.dispose();
});

afterAll(() => rmSync(place, { recursive: true, force: true }));

function onOlderNode(): Older {
  const node = path.join(installOldestNode(place), 'node');
  return {
    async start() {
      process.execPath = node;
      try {
        return await world.startWorker();
      } finally {
        process.execPath = present;
      }
    },
    isOn: ({ pid }) => readlinkSync(`/proc/${pid}/exe`).includes(path.dirname(path.dirname(node))),
  };
}

/** All of Temporal's packages that this checkout has, of the older release, below the same sources. */
async function onOlderSdk(): Promise<Older> {
  const installed = path.join(place, 'installed');
  mkdirSync(installed);
  const dependencies = Object.fromEntries(
    readdirSync(scope).map((name) => [`@temporalio/${name}`, olderSdk]),
  );
  writeFileSync(path.join(installed, 'package.json'), JSON.stringify({ private: true, dependencies }));
  execFileSync('npm', installWords, { cwd: installed, stdio: 'pipe' });
  const packages = path.join(installed, 'node_modules/@temporalio');
  const build = await presentBuild(path.join(place, 'build'), { '@temporalio': packages });
  return {
    start: () => world.startWorker(build.worker),
    // Its core is a library of the system's kind.
    isOn: ({ pid }) => readFileSync(`/proc/${pid}/maps`, 'utf8').includes(packages),
  };
}

const read = async () => (await ledgerCounters(stores, 'fetchAndStore')).read;

/** Lets such a worker go on with the run, and kills it. */
async function goOn(start: () => Promise<TestWorker>): Promise<void> {
  const before = await read();
  const worker = await start();
  await waitFor(async () => (await read()) > before, {
    what: 'more documents to be read',
    timeoutMs: 60_000,
  });
  await worker.kill();
}

test.each([
  { what: 'the next major version of Node', prepare: onOlderNode },
  { what: "another release of Temporal's packages", prepare: onOlderSdk },
])('a run goes on where workers move to $what, and back', { timeout: 300_000 }, async ({ prepare }) => {
  const older = await prepare();
  world = await createWorld({ legacyApi: ['--latency=200'] });
  stores = openStores(world);
  await addTargets(stores, documents);
  const startOlder = async () => {
    const worker = await older.start();
    expect(older.isOn(worker)).toBe(true);
    return worker;
  };

  const handle = await world.start('documentMigration', { inFlight: 10 });
  await goOn(startOlder);
  await goOn(async () => {
    const worker = await world.startWorker();
    expect(older.isOn(worker)).toBe(false);
    return worker;
  });
  expect(await read(), 'it is in the middle').toBeLessThan(documents);
  await startOlder();
  await expectGoneOn(handle, stores, documents);
});
