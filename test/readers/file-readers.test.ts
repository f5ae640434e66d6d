import { utimesSync, writeFileSync } from 'node:fs';
import { appendFile, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import type { Reader } from '../../packages/keystride/src/contract/reader.ts';
import { csvReader, type CsvSource } from '../../packages/keystride/src/stores/files/csv-reader.ts';
import { ndjsonReader } from '../../packages/keystride/src/stores/files/ndjson-reader.ts';
import { MalformedRecord, UnusableFile } from '../../packages/keystride/src/stores/files/source-file.ts';
import { type Read, readAll, readRange } from './reading.ts';

const signal = new AbortController().signal;
let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keystride-readers-'));
  file = path.join(directory, 'records');
});

afterAll(() => rm(directory, { recursive: true }));

/** What each record became: its item, or the error of its read. */
function outcomes(found: readonly Read<unknown>[]): unknown[] {
  return found.map(({ item, error }) => {
    if (error === undefined) return item;
    expect(error).toBeInstanceOf(MalformedRecord);
    return 'malformed';
  });
}

/** Reads a whole file in pages of several sizes, all of which must agree; and from each cursor on. */
async function readEveryWay<Item>(make: () => Reader<Item>, partitions = [1]): Promise<Read<Item>[]> {
  const whole = await readAll(make, 1000);
  for (const count of partitions)
    for (const limit of [1, 2, 3]) expect(await readAll(make, limit, count)).toMatchObject(shapes(whole));
  const { ranges } = await make().plan({ partitions: 1, signal });
  if (!ranges[0]) return whole;
  for (const [index, { cursor }] of whole.entries())
    expect(await readRange(make(), ranges[0], 2, cursor)).toMatchObject(shapes(whole.slice(index + 1)));
  const again = await make().readKeys?.({ keys: whole.map(({ cursor }) => cursor), signal });
  expect(again).toMatchObject(
    whole.map(({ item, error }) =>
      error === undefined ? { item } : { error: expect.anything() as unknown },
    ),
  );
  return whole;
}

/** Items and keys alone; cursors name the range's file, errors are made anew. */
const shapes = <Item>(found: readonly Read<Item>[]) => found.map(({ item, key }) => ({ item, key }));

/** Bytes that are held, garbage not counted. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('CSV', () => {
  const csv =
    (options: Partial<CsvSource<unknown>> = {}) =>
    () =>
      csvReader({ path: file, ...options });

  test.for<[what: string, content: string, records: unknown[]]>([
    [
      'plain',
      'a,b\n1,2\n3,4\n',
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    [
      'the last line is not ended',
      'a,b\n1,2\n3,4',
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    [
      'Windows',
      '\ufeffa,b\r\n1,2\r\n"3\r\n",4\r\n',
      [
        { a: '1', b: '2' },
        { a: '3\r\n', b: '4' },
      ],
    ],
    [
      'quoted',
      'a,b\n"1\n\n1","a ""b"", c"\n"",\n',
      [
        { a: '1\n\n1', b: 'a "b", c' },
        { a: '', b: '' },
      ],
    ],
    [
      'empty lines',
      '\na,b\n\n1,2\n\n\n3,4\n\n',
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    ['a field too many, or too few', 'a,b\n1,2,3\n1\n1,2\n', ['malformed', 'malformed', { a: '1', b: '2' }]],
    ['the header once more', 'a,b\n1,2\na,b\n3,4\n', [{ a: '1', b: '2' }, 'malformed', { a: '3', b: '4' }]],
    ['a value that is called as the only column', 'a\na\n', [{ a: 'a' }]],
    ['a quote inside', 'a,b\n1"x",2\n3,4\n', ['malformed', { a: '3', b: '4' }]],
    ['more behind a quote', 'a,b\n"1"x,2\n"3",4\n', ['malformed', { a: '3', b: '4' }]],
    [
      'a quote that swallows the next',
      'a,b\n"1,2\n"3",4\n5,6\n',
      ['malformed', { a: '3', b: '4' }, { a: '5', b: '6' }],
    ],
    [
      'a quote that is never closed',
      'a,b\n1,"2\n3,4\n5,6',
      ['malformed', { a: '3', b: '4' }, { a: '5', b: '6' }],
    ],
    ['cut off in a quote', 'a,b\n1,2\n3,"4', [{ a: '1', b: '2' }, 'malformed']],
    [
      'of names that objects have',
      'constructor,__proto__\n1,2\n',
      [
        Object.fromEntries([
          ['constructor', '1'],
          ['__proto__', '2'],
        ]),
      ],
    ],
    ['only a header', 'a,b\n', []],
    ['empty', '', []],
  ])('%s', async ([, content, records]) => {
    await writeFile(file, content);
    expect(outcomes(await readEveryWay(csv()))).toEqual(records);
  });

  test('other signs, names given, and what each record becomes', async () => {
    await writeFile(file, `1;'a;''b'\n2;c\nx;d\n`);
    const parse = ({ id }: Readonly<Record<string, string>>) => {
      if (!/^\d+$/.test(id ?? '')) throw new RangeError('no number');
      return BigInt(id ?? '');
    };
    const make = () => csvReader({ path: file, columns: ['id', 'text'], delimiter: ';', quote: "'", parse });
    const found = await readEveryWay(make);
    expect(found.map(({ item }) => item)).toEqual([1n, 2n, undefined]);
    expect(found[2]?.error).toBeInstanceOf(RangeError);
    expect(() => csvReader({ path: file, delimiter: '::' })).toThrow(TypeError);
  });

  test('bytes that are no UTF-8 are the error of their record', async () => {
    await writeFile(
      file,
      Buffer.concat([Buffer.from('a\n1\n'), Buffer.from([0xff, 0x0a]), Buffer.from('é\n')]),
    );
    expect(outcomes(await readEveryWay(csv()))).toEqual([{ a: '1' }, 'malformed', { a: 'é' }]);
  });

  test.for([100, 3000, 70_000])('a record of %i bytes is too long when 99 are allowed', async (length) => {
    await writeFile(file, `a\n${'x'.repeat(98)}\n${'y'.repeat(length - 1)}\n"${'z'.repeat(length)}"\n3\n`);
    const expected = [{ a: 'x'.repeat(98) }, 'malformed', 'malformed', { a: '3' }];
    expect(outcomes(await readEveryWay(csv({ longestRecord: 99 })))).toEqual(expected);
  });

  test('a record that is too long, wherever reading began', async () => {
    const long = 'x'.repeat(200_000);
    await writeFile(file, `a,b\n1,2\n${long},3\n4,5\n"6${long}\n",7\n8,9\n`);
    const found = await readEveryWay(csv({ longestRecord: 1000 }));
    // The second line of the quoted one has no quotes left that fit.
    expect(outcomes(found)).toEqual([
      { a: '1', b: '2' },
      'malformed',
      { a: '4', b: '5' },
      'malformed',
      'malformed',
      { a: '8', b: '9' },
    ]);
    expect(String(found[1]?.error)).toMatch(/record at byte 8 is longer than 1000 bytes/);
  });

  test('its errors never tell what a record holds', async () => {
    await writeFile(file, 'a,b\nsecret"x,1\nsecret\n"secret"secret,1\n');
    const found = await readAll(csv(), 10);
    expect(found).toHaveLength(3);
    for (const { error } of found) expect(String(error)).not.toContain('secret');
  });

  test('a header that names a column twice is the error of the file', async () => {
    await writeFile(file, 'a,a\n1,2\n');
    await expect(csv()().plan({ partitions: 1, signal })).rejects.toThrow(/names a column twice/);
  });

  test.each([
    ['carriage returns as line ends', 'id,name\r1,a\r2,b\r', /carriage return/],
    ['carriage returns, one column', 'id\r1\r2\r', /carriage return/],
    ['a carriage return in the header, in quotes it would be one', 'id,na\rme\n1,a\n', /carriage return/],
    ['a column without a name', 'id,,name\n1,2,a\n', /without a name/],
    ['a delimiter at the end of the header', 'id,name,\n1,a,\n', /without a name/],
    ['another delimiter', 'id;name\n1;a\n', /one column.*";"/],
    ['tabs', 'id\tname\n1\ta\n', /one column/],
  ])('a header that is none is the error of the file: %s', async (_, content, message) => {
    await writeFile(file, content);
    for (const quote of ['"', null]) {
      const error: unknown = await readAll(() => csvReader({ path: file, quote }), 10).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(UnusableFile);
      expect(String(error)).toMatch(message);
    }
  });

  test('with names given, carriage returns as line ends are an error of the record that they make', async () => {
    await writeFile(file, '1\r2\r3\r');
    for (const quote of ['"', null])
      expect(outcomes(await readAll(() => csvReader({ path: file, quote, columns: ['id'] }), 10))).toEqual([
        'malformed',
      ]);
    await writeFile(file, '1\n2\r\n"3\r4"\n5\r');
    expect(outcomes(await readAll(() => csvReader({ path: file, columns: ['id'] }), 1))).toEqual([
      { id: '1' },
      { id: '2' },
      { id: '3\r4' },
      { id: '5' },
    ]);
  });

  test('a page of large records ends by their bytes, and says that there may be more', async () => {
    const lines = Array.from({ length: 40 }, (_, index) => `${index},${'x'.repeat(100_000)}`);
    await writeFile(file, lines.join('\n'));
    const reader = csvReader({ path: file, columns: ['id', 'text'] });
    const { ranges } = await reader.plan({ partitions: 1, signal });
    const range = ranges[0] ?? { lower: null, upper: null };
    const ids: string[] = [];
    for (let after: Cursor | null = null; ;) {
      const page = await reader.read({ range, after, limit: 1000, bytes: 1_000_000, signal });
      expect(page.items.length).toBeLessThanOrEqual(10);
      ids.push(...page.items.map(({ id }) => id ?? ''));
      if (!page.passed) break;
      after = page.passed;
    }
    expect(ids).toEqual(lines.map((_, index) => String(index)));
  });

  test('a file that is written over while it is read is told', async () => {
    await writeFile(file, 'id\n1\n2\n');
    const reader = csvReader({
      path: file,
      parse: ({ id }) => {
        writeFileSync(file, 'id\n3\n4\n');
        utimesSync(file, 0, 1);
        return id;
      },
    });
    const { ranges } = await reader.plan({ partitions: 1, signal });
    const range = ranges[0] ?? { lower: null, upper: null };
    await expect(reader.read({ range, after: null, limit: 10, signal })).rejects.toThrow(/written to while/);
  });

  test('any records, written as RFC 4180 says, are read as they were, with malformed ones between', async () => {
    const field = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom('"', '""', ',', '\n', '\r\n', '', ' ', 'é🙂', '","', 'a"b'),
    );
    const record = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(field, field) },
      { weight: 1, arbitrary: fc.constant(null) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        async (records, lineEnd, ended) => {
          const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
          const lines = records.map((fields) => (fields ? fields.map(quoted).join(',') : 'bad"line,1'));
          await writeFile(file, ['a,b', ...lines].join(lineEnd) + (ended ? lineEnd : ''));
          const expected = records.map((fields) => (fields ? { a: fields[0], b: fields[1] } : 'malformed'));
          expect(outcomes(await readEveryWay(csv()))).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('NDJSON', () => {
  const ndjson = () => ndjsonReader({ path: file });

  test('values, lines that are none, empty ones and a last one that is cut off', async () => {
    await writeFile(file, '\ufeff{"a":1}\n\n{"a":\r\n"two"\r\n  \n[3]\n{"a":4');
    const found = await readEveryWay(ndjson, [1, 2, 5]);
    expect(outcomes(found)).toEqual([{ a: 1 }, 'malformed', 'two', 'malformed', [3], 'malformed']);
    expect(found.map(({ key }) => key)).toEqual(['3', '12', '19', '26', '29', '33']);
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
    const began = performance.now();
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
    const forAll = performance.now() - began;
    expect(read).toBe(200_000);
    // A few pages of 5 MB that are not yet given back, and far less than the file.
    expect(highest / 1e6).toBeLessThan(80);
    const size = Number(ranges.at(-1)?.upper?.[0]);
    const near = ranges.at(-1)?.upper?.with(0, String(size - lines.length));
    const started = performance.now();
    const rest = await reader.read({
      range: ranges.at(-1) as never,
      after: near as never,
      limit: 10_000,
      signal,
    });
    expect(rest.items).toHaveLength(1000);
    expect(performance.now() - started).toBeLessThan(forAll / 3);
    await rm(large);
  });
});
