import { readFileSync } from 'node:fs';
import { appendFile, open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ndjsonReader } from '../../packages/keystride/src/stores/files/ndjson-reader.ts';
import { UnusableFile } from '../../packages/keystride/src/stores/files/source-file.ts';
import { readRange } from './reading.ts';
import { outcomes, ownDirectory, readEveryWay } from './record-files.ts';

const signal = new AbortController().signal;
const directory = ownDirectory();
const file = path.join(directory, 'records');

/** Bytes that are held, garbage not counted. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes that this process has read from anywhere, as Linux counts them. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/mu.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

const ndjson = () => ndjsonReader({ path: file, lastLineUnended: true });

test('values, lines that are none, empty ones and a last one that is cut off', async () => {
  await writeFile(file, '\ufeff{"a":1}\n\n{"a":\r\n"two"\r\n  \n[3]\n{"a":4');
  const found = await readEveryWay(ndjson, [1, 2, 5]);
  expect(outcomes(found)).toEqual([{ a: 1 }, 'malformed', 'two', 'malformed', [3], 'malformed']);
  expect(found.map(({ key }) => key)).toEqual(['3', '12', '19', '26', '29', '33']);
});

test('a line of which JSON.parse would lose something is malformed, unless it is parsed by the job', async () => {
  await writeFile(
    file,
    '{"id":9007199254740993}\n{"a":1,"a":2}\n"\\ud800"\n{"id":9007199254740992,"a":[1.50,1e3]}\n',
  );
  expect(outcomes(await readEveryWay(ndjson, [1, 5]))).toEqual([
    ...['malformed', 'malformed', 'malformed'],
    { id: 9007199254740992, a: [1.5, 1000] },
  ]);
  const own = await readEveryWay(() => ndjsonReader({ path: file, parse: (line) => line }), [5]);
  expect(outcomes(own)).toContain('{"id":9007199254740993}');
});

test('any values, partitions and pages: each once, in order, from any cursor', async () => {
  const line = fc.oneof(fc.json({ maxDepth: 1 }), fc.constantFrom('', '{', 'nonsense', '\r'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 20 }),
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      async (lines, partitions, ended) => {
        await writeFile(file, lines.join('\n') + (ended ? '\n' : ''));
        const { ranges } = await ndjson().plan({ partitions, signal });
        expect(ranges.length).toBeLessThanOrEqual(partitions);
        expect(ranges.map(({ lower }) => lower)).toEqual(
          [null, ...ranges.map(({ upper }) => upper)].slice(0, ranges.length),
        );
        const bounds = ranges.map(({ upper }) => Number(upper?.[0]));
        expect(bounds.every((bound, index) => bound > (bounds[index - 1] ?? 0))).toBe(true);
        const expected = lines
          .filter((text) => text !== '' && text !== '\r')
          .map((text) => {
            try {
              return JSON.parse(text) as unknown;
            } catch {
              return 'malformed';
            }
          });
        expect(outcomes(await readEveryWay(ndjson, [partitions]))).toEqual(expected);
      },
    ),
    { numRuns: 40 },
  );
});

test('a file whose last line has no end is refused: it may be half of a number', async () => {
  await writeFile(file, '{"a":1}\n12');
  const plan = () => ndjsonReader({ path: file }).plan({ partitions: 3, signal });
  await expect(plan()).rejects.toThrow(/the last line has no line end/u);
  const { ranges } = await ndjson().plan({ partitions: 1, signal });
  await appendFile(file, '34\n');
  await expect(readRange(ndjson(), ranges[0] as never, 10)).rejects.toThrow(/in the midst of a record/u);
  expect((await plan()).ranges).toHaveLength(2);
});

test('what is appended during the run belongs to another one', async () => {
  await writeFile(file, '1\n2\n');
  const { ranges } = await ndjson().plan({ partitions: 1, signal });
  await appendFile(file, '3\n');
  expect(outcomes(await readRange(ndjson(), ranges[0] as never, 10))).toEqual([1, 2]);
});

test.for([
  ['shorter', '1\n'],
  ['another', '1\n9\n3\n'],
])('a file that has become %s is refused', async ([, content]) => {
  await writeFile(file, '1\n2\n3\n');
  const { ranges } = await ndjson().plan({ partitions: 1, signal });
  await writeFile(file, content as string);
  await expect(readRange(ndjson(), ranges[0] as never, 10)).rejects.toThrow(UnusableFile);
  await expect(readRange(ndjson(), ranges[0] as never, 10)).rejects.toThrow(/has changed since/);
});

const long = (middle: string) => `${'"x"\n'.repeat(3000)}"${middle}"\n${'"y"\n'.repeat(3000)}`;

/** Replaces a file as `mv` does, and writes into it as an editor may. */
const replacements = {
  'another file in its place': async (content: string) => {
    await writeFile(`${file}.new`, content);
    await rename(`${file}.new`, file);
  },
  'other content in it': (content: string) => writeFile(file, content),
};

test.for(Object.entries(replacements))(
  'a file of the same size and ends is refused: %s',
  async ([, replace]) => {
    await writeFile(file, long('one'));
    const { ranges } = await ndjson().plan({ partitions: 2, signal });
    const [read] = await readRange(ndjson(), ranges[0] as never, 10);
    await delay(20);
    await replace(long('two'));
    await expect(readRange(ndjson(), ranges[1] as never, 10)).rejects.toThrow(/has changed since/);
    const again = ndjson().readKeys?.({ keys: [read?.cursor as never], signal });
    await expect(again).rejects.toThrow(/has changed since/);
    // The same bytes under another name, as another worker has them, are the same file.
    await replacements['another file in its place'](long('one'));
    expect(await readRange(ndjson(), ranges[1] as never, 10)).not.toHaveLength(0);
  },
);

test('a range that a release before has planned is read by the ends of its file', async () => {
  await writeFile(file, '1\n2\n');
  const { ranges } = await ndjson().plan({ partitions: 1, signal });
  const upper = ranges[0]?.upper?.slice(0, 2);
  expect(outcomes(await readRange(ndjson(), { lower: null, upper } as never, 10))).toEqual([1, 2]);
});

test('a file that is not there is named', async () => {
  const gone = ndjsonReader({ path: path.join(directory, 'gone') });
  await expect(gone.plan({ partitions: 1, signal })).rejects.toThrow(/gone cannot be opened \(ENOENT\)/);
});

test('200 MB in the memory of a page, and a restart at their end seeks', { timeout: 60_000 }, async () => {
  const large = path.join(directory, 'large');
  const lines = Buffer.from(`${JSON.stringify({ text: 'x'.repeat(985) })}\n`.repeat(1000));
  const handle = await open(large, 'w');
  for (let part = 0; part < 200; part++) await handle.write(lines);
  await handle.close();
  const reader = ndjsonReader({ path: large });
  const { ranges } = await reader.plan({ partitions: 4, signal });
  expect(ranges).toHaveLength(4);
  const before = heldBytes();
  let highest = 0;
  let read = 0;
  for (const range of ranges) {
    for (let after = null; ;) {
      const page = await reader.read({ range, after, limit: 5000, signal });
      read += page.items.length;
      if (read % 25_000 === 0) highest = Math.max(highest, heldBytes() - before);
      if (page.items.length < 5000) break;
      after = page.cursorAt(page.items.length - 1) as never;
    }
  }
  expect(read).toBe(200_000);
  // A few pages of 5 MB that are not yet given back, and far less than the file.
  expect(highest / 1e6).toBeLessThan(80);
  const size = Number(ranges.at(-1)?.upper?.[0]);
  const near = ranges.at(-1)?.upper?.with(0, String(size - lines.length));
  const readBefore = bytesRead();
  const rest = await reader.read({
    range: ranges.at(-1) as never,
    after: near as never,
    limit: 10_000,
    signal,
  });
  expect(rest.items).toHaveLength(1000);
  expect(bytesRead() - readBefore).toBeLessThan(10 * lines.length);
  await rm(large);
});
