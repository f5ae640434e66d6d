import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { obstacleFor, reachableDirectory } from '../../packages/keystride/src/dev/places.ts';

const stranger = { name: 'stranger', uid: 54_321, gid: 54_321 };

test('a private directory is an obstacle to another user, wherever on the way it lies', () => {
  const open = mkdtempSync(path.join(tmpdir(), 'keystride-places-'));
  chmodSync(open, 0o711);
  const closed = path.join(open, 'closed');
  mkdirSync(path.join(closed, 'data'), { recursive: true });
  chmodSync(closed, 0o700);
  expect(obstacleFor(stranger, open)).toBeUndefined();
  expect(obstacleFor(stranger, path.join(closed, 'data'))).toBe(closed);
  rmSync(open, { recursive: true });
});

test('a home of ours is opened for passing through, and that is said', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-places-'));
  const notes: string[] = [];
  const report = { step: () => {}, up: () => {}, note: (text: string) => void notes.push(text) };
  expect(reachableDirectory(stranger, home, 'postgres', report)).toBe(path.join(home, 'postgres'));
  expect(notes).toEqual([expect.stringContaining(home)]);
  expect(obstacleFor(stranger, home)).toBeUndefined();
  rmSync(home, { recursive: true });
});
