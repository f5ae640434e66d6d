import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  armFaultPoints,
  faultFile,
  faultPoint,
  faultPoints,
  passesFile,
  type WorkerFault,
} from '../../packages/keystride/src/page/fault-points.ts';
import { waitFor } from 'keystride/testing';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'keystride-faults-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function start(...faults: WorkerFault[]) {
  const program = path.join(import.meta.dirname, 'suffering-program.ts');
  const child = spawn(process.execPath, [program, JSON.stringify({ directory, faults })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close').then(([, signal]: unknown[]) => ({ signal, output }));
  return { child, ended, said: () => output };
}

function passes(): number {
  return statSync(passesFile(directory, 'beforeCommit')).size;
}

test('a process that is not armed passes every point', () => {
  for (const point of faultPoints) faultPoint(point);
});

test('a schedule that is none is refused', () => {
  expect(() => armFaultPoints('{"directory": "x", "faults": [{"point": "nowhere"}]}')).toThrow(/point/);
});

test('dies at the third pass, once: a second process counts on and passes', async () => {
  const fault: WorkerFault = { id: 0, point: 'beforeCommit', hit: 3, signal: 'SIGKILL' };
  const first = start(fault);
  expect(await first.ended).toEqual({ signal: 'SIGKILL', output: 'passed 1\npassed 2\n' });
  expect(Number(readFileSync(faultFile(directory, 0), 'utf8'))).toBe(first.child.pid);
  expect(passes()).toBe(3);
  expect((await start(fault).ended).signal).toBeNull();
  expect(passes()).toBe(8);
});

test('freezes until it is woken, and then goes on', async () => {
  const { child, ended, said } = start({ id: 4, point: 'beforeCommit', hit: 2, signal: 'SIGSTOP' });
  await waitFor(() => passes() === 2);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(said()).toBe('passed 1\n');
  child.kill('SIGCONT');
  expect((await ended).output).toContain('passed 5');
});
