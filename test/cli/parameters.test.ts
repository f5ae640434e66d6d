import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
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

function fileOf(content: string | Buffer): string {
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

function typed(content: string | Buffer): void {
  const input = new PassThrough();
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(input as unknown as typeof process.stdin);
  input.end(content);
}

afterEach(() => {
  vi.restoreAllMocks();
});

test('a minus stands for standard input', async () => {
  typed('secret\n');
  expect(await parametersOf(job, { paramFile: ['memberId=-'] })).toEqual({ memberId: 'secret' });
});

test('standard input holds one value: two parameters from it are refused by name', async () => {
  typed('secret\n');
  await expect(parametersOf(job, { paramFile: ['memberId=-', 'pins=-'] })).rejects.toMatchObject({
    ...{ exitCode: 2, what: 'standard input is to give memberId and pins, and holds one value' },
  });
});

test('standard input that holds nothing is refused, for a command before it has failed', async () => {
  typed('');
  await expect(parametersOf(job, { paramFile: ['memberId=-'] })).rejects.toThrow(/memberId, is empty/u);
});

test.each([
  [{ param: ['count=3', 'count=4'] }],
  [{ param: ['count=3'], paramFile: ['count=/not/looked/at'] }],
  [{ paramFile: ['count=-', 'count=-'] }],
])('a parameter that is given twice is refused: %j', async (given) => {
  await expect(parametersOf(job, given)).rejects.toThrow(/count is given twice/u);
});

test.each([
  ['a directory', () => directory, /cannot be read \(EISDIR\)/u],
  ['empty', () => fileOf('\n'), /is empty/u],
  ['no UTF-8', () => fileOf(Buffer.from([0x73, 0xe9])), /is no UTF-8/u],
  ['too long', () => fileOf('x'.repeat(2 ** 20 + 1)), /is longer than 1 MiB/u],
  ['without an end', () => '/dev/zero', /is longer than 1 MiB/u],
])('a file that is %s is refused, and not told', async (_, file, message) => {
  const refusal = await parametersOf(job, { paramFile: [`memberId=${file()}`] }).catch(
    (error: unknown) => error,
  );
  expect(refusal).toMatchObject({ exitCode: 2, message: expect.stringMatching(message) as string });
});

test('a pipe is read as a file is, and the mark of UTF-8 is not part of the value', async () => {
  const pipe = path.join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const read = parametersOf(job, { paramFile: [`memberId=${pipe}`] });
  await writeFile(pipe, '\uFEFFsecret\r\n');
  expect(await read).toEqual({ memberId: 'secret' });
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
