import { utimesSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cursor } from '../../packages/keystride/src/contract/cursor.ts';
import { csvReader, type CsvSource } from '../../packages/keystride/src/stores/files/csv-reader.ts';
import { UnusableFile } from '../../packages/keystride/src/stores/files/source-file.ts';
import { readAll, readRange } from './reading.ts';
import { outcomes, ownDirectory, readEveryWay } from './record-files.ts';

const signal = new AbortController().signal;
const directory = ownDirectory();
const file = path.join(directory, 'records');

const csv =
  (options: Partial<CsvSource<unknown>> = {}) =>
  () =>
    csvReader({ path: file, lastLineUnended: true, ...options });

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
  [
    'that of another file, with its mark',
    'a,b\n1,2\n\ufeffa,b\n3,4\n',
    [{ a: '1', b: '2' }, 'malformed', { a: '3', b: '4' }],
  ],
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

test.each([
  ['in a number', 'id,amount\n1,12', 'id,amount\n1,1234\n2,5\n', /ended in the midst of a record/u],
  ['before its line end', 'id,amount\n1,12', 'id,amount\n1,12\n2,5\n', undefined],
  ['within its line end', 'id,amount\r\n1,12\r', 'id,amount\r\n1,12\r\n2,5\r\n', undefined],
])('a file that is still being written, and ends %s', async (_, begun, whole, told) => {
  await writeFile(file, begun);
  if (!begun.endsWith('\r'))
    await expect(readAll(() => csvReader({ path: file }), 10)).rejects.toThrow(
      /the last line has no line end/u,
    );
  const { ranges } = await csv()().plan({ partitions: 1, signal });
  await writeFile(file, whole);
  const reading = readRange(csv()(), ranges[0] ?? { lower: null, upper: null }, 10);
  if (told) await expect(reading).rejects.toThrow(told);
  else expect(outcomes(await reading)).toEqual([{ id: '1', amount: '12' }]);
});

test('a column that is required and not there is the error of the file, by its name alone', async () => {
  await writeFile(file, 'id,secret\n1,2\n');
  const required = (...requiredColumns: string[]) => readAll(csv({ requiredColumns }), 10);
  await expect(required('id', 'amuont', 'day')).rejects.toThrow(
    /: none of its 2 columns is called amuont, or day; correct the header/u,
  );
  expect(await required('id')).toHaveLength(1);
  await expect(readAll(csv({ columns: ['a', 'b'], requiredColumns: ['c'] }), 10)).rejects.toThrow(
    UnusableFile,
  );
  await writeFile(file, '');
  expect(await required('id')).toEqual([]);
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
  ['UTF-16 without a mark', 'i\0d\0,\0n\0a\0m\0e\0\n\0\u0031\0,\0a\0\n\0', /zero bytes.*UTF-8/],
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
  const reader = csvReader({ path: file, columns: ['id', 'text'], lastLineUnended: true });
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
