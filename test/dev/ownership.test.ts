import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Ownership } from '../../packages/keystride/src/dev/ownership.ts';
import {
  identityOf,
  isAlive,
  waitUntilGone,
  type ProcessIdentity,
} from '../../packages/keystride/src/dev/processes.ts';
import { readState, stateFile, writeState } from '../../packages/keystride/src/dev/state.ts';

let home: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'keystride-home-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(home, { recursive: true });
});

test('a home has one owner, whose description only its user may read', async () => {
  const ownership = await take();
  expect(statSync(stateFile(home)).mode & 0o777).toBe(0o600);
  await expect(take()).rejects.toThrow(`supervised by process ${process.pid}`);
  ownership.release();
  expect(existsSync(stateFile(home))).toBe(false);
  (await take()).release();
});

test('what a dead owner left is ended before the next begins', async () => {
  const left = sleeper();
  describeDeadOwner(left);
  const leftovers: string[] = [];
  const ownership = await take((names) => leftovers.push(...names));
  expect(leftovers).toEqual(['postgres']);
  expect(isAlive(left)).toBe(false);
  ownership.release();
});

test('a process that merely has the id of one of ours is left alone', async () => {
  const stranger = sleeper();
  describeDeadOwner({ pid: stranger.pid, started: 'another time' });
  const ownership = await take();
  expect(isAlive(stranger)).toBe(true);
  ownership.release();
});

test('a part that ends by itself is told of and stays listed; one that we end is not', async () => {
  const ended: string[] = [];
  const ownership = await take(undefined, (name) => ended.push(name));
  const [first, second] = [sleeper(), sleeper()];
  ownership.started('temporal', first, 'SIGTERM');
  ownership.started('mongodb', second, 'SIGTERM');
  ownership.ended('temporal', first, false);
  ownership.ended('mongodb', second, true);
  expect(ended).toEqual(['temporal']);
  expect(readState(home)?.processes.map(({ name }) => name)).toEqual(['temporal']);
  ownership.release();
});

test('an owner that is killed takes its processes with it', async () => {
  const owner = spawn(process.execPath, [path.join(import.meta.dirname, 'owner-program.ts'), home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(owner);
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  const owned = JSON.parse(line.toString()) as ProcessIdentity;
  expect(isAlive(owned)).toBe(true);
  owner.kill('SIGKILL');
  expect(await waitUntilGone(owned, 8_000)).toBe(true);
});

function take(onLeftovers: (names: string[]) => void = () => {}, onEnded: (name: string) => void = () => {}) {
  return Ownership.take(home, onLeftovers, onEnded);
}

function sleeper(): ProcessIdentity {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  const identity = child.pid === undefined ? undefined : identityOf(child.pid);
  if (identity === undefined) throw new Error('no sleeper');
  return identity;
}

function describeDeadOwner(left: ProcessIdentity): void {
  writeState(home, {
    version: 2,
    status: 'up',
    supervisor: { pid: process.pid, started: 'another time' },
    startedAt: new Date().toISOString(),
    addresses: {},
    processes: [{ name: 'postgres', identity: left, signal: 'SIGTERM' }],
  });
}
