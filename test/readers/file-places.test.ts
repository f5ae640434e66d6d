import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ndjsonReader } from '../../packages/keystride/src/stores/files/ndjson-reader.ts';
import { UnusableFile } from '../../packages/keystride/src/stores/files/source-file.ts';

const { signal } = new AbortController();
let root: string;
let directory: string;

beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'keystride-places-'));
  directory = path.join(root, 'in');
  mkdirSync(path.join(directory, 'sub'), { recursive: true });
  mkdirSync(path.join(root, 'in-another'));
  for (const name of ['in/file', 'in/sub/file', 'outside', 'in-another/file'])
    writeFileSync(path.join(root, name), '1\n');
  symlinkSync(path.join(root, 'outside'), path.join(directory, 'link-out'));
  symlinkSync(root, path.join(directory, 'directory-out'));
  symlinkSync('file', path.join(directory, 'link-in'));
  execFileSync('mkfifo', [path.join(directory, 'pipe')]);
});

afterAll(() => rmSync(root, { recursive: true }));

const planOf = (file: string) =>
  ndjsonReader({ path: file, directory })
    .plan({ partitions: 1, signal })
    .then(
      ({ ranges }) => ranges.length,
      (error: unknown) => error,
    );

describe('a reader that is given a directory', () => {
  test.each(['file', 'sub/file', 'sub/../file', 'link-in', './file'])('reads %s in it', async (file) => {
    expect(await planOf(file)).toBe(1);
  });

  test.each([
    '../outside',
    'sub/../../outside',
    '../in-another/file',
    'link-out',
    'directory-out/outside',
    '/etc/passwd',
    'file\0',
    '.',
    '',
    'sub',
    '..',
    'FILE',
  ])('reads nothing else: %j', async (file) => {
    expect(await planOf(file)).toBeInstanceOf(UnusableFile);
  });

  test('does not leave it by any path', async () => {
    const step = fc.constantFrom(
      '..',
      '.',
      'sub',
      'directory-out',
      'in',
      'in-another',
      'outside',
      '',
      '%2e%2e',
      '\\..',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), fc.boolean(), async (steps, isAbsolute) => {
        const file = `${isAbsolute ? '/' : ''}${steps.join('/')}`;
        // Whatever comes of it, it is never the file outside, whose name nothing in the directory has.
        const outcome = await planOf(path.join(file, '../outside'));
        expect(outcome, file).toBeInstanceOf(UnusableFile);
      }),
      { numRuns: 100 },
    );
  });
});

// A pipe that nobody writes to would be waited for for ever.
test.each(['/dev/zero', '/dev/stdin', 'PIPE'])('%s is no file, with a directory or without', async (name) => {
  const file = name === 'PIPE' ? path.join(directory, 'pipe') : name;
  const plan = ndjsonReader({ path: file }).plan({ partitions: 1, signal });
  await expect(plan).rejects.toThrow(UnusableFile);
  if (name === 'PIPE') expect(await planOf('pipe')).toBeInstanceOf(UnusableFile);
});
