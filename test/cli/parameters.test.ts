import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { chunkStep, defineJob, sensitive } from 'keystride';
import { parametersOf, parameterWords } from '../../packages/keystride/src/cli/parameters.ts';

const job = defineJob({
  name: 'visits',
  description: 'for tests',
  parameters: z.object({ memberId: sensitive(z.string()), pins: z.array(z.string()), count: z.int() }),
  steps: { collect: chunkStep() },
});

const directory = mkdtempSync(path.join(tmpdir(), 'keystride-parameters-'));
afterAll(() => rmSync(directory, { recursive: true }));

function fileOf(content: string): string {
  const file = path.join(directory, crypto.randomUUID());
  writeFileSync(file, content);
  return file;
}

test('a file holds a value as the command line would, without the newline at its end', async () => {
  const paramFile = [
    `memberId=${fileOf('a=b, with\nlines\n')}`,
    `count=${fileOf('3\n')}`,
    `pins=${fileOf('x,y')}`,
  ];
  expect(await parametersOf(job, { paramFile })).toEqual({
    ...{ memberId: 'a=b, with\nlines', count: 3, pins: ['x', 'y'] },
  });
});

test('a sensitive value on the command line is refused, and not told', async () => {
  const given = { param: ['count=3', 'memberId=secret'] };
  const refusal = await parametersOf(job, given).catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    exitCode: 2,
    what: expect.stringContaining('memberId is sensitive'),
    todo: expect.stringContaining('--param-file memberId=-'),
  });
  expect(JSON.stringify(refusal)).not.toContain('secret');
});

test('a minus stands for standard input', async () => {
  const input = new PassThrough();
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(input as unknown as typeof process.stdin);
  input.end('secret\n');
  expect(await parametersOf(job, { paramFile: ['memberId=-'] })).toEqual({ memberId: 'secret' });
  vi.restoreAllMocks();
});

test.each([
  ['memberId=/not/here', /cannot be read \(ENOENT\)/u],
  ['memberId=', /names no file/u],
  ['memberId', /names no file/u],
])('a file that is not there: %s', async (word, message) => {
  await expect(parametersOf(job, { paramFile: [word] })).rejects.toThrow(message);
});

test('a command that is to be repeated names the file, and not what it held', () => {
  const given = { param: ['count=3'], paramFile: ['memberId=/run/member id'] };
  expect(parameterWords(given)).toBe(` --param count=3 --param-file 'memberId=/run/member id'`);
});
