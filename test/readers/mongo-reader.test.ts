import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import {
  Binary,
  type Collection,
  type CommandStartedEvent,
  Decimal128,
  Long,
  MongoClient,
  ObjectId,
  UUID,
} from 'mongodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { cursorOfId, idOfCursor, UnusableId } from '../../packages/keystride/src/stores/mongo/id-keys.ts';
import { mongoKeysetReader } from '../../packages/keystride/src/stores/mongo/keyset-reader.ts';
import { refuseCollated, refuseRepeated } from '../../packages/keystride/src/stores/mongo/repeated-ids.ts';
import { readAll, readRange } from './reading.ts';

interface Row {
  _id: unknown;
  keep?: boolean;
}

const signal = new AbortController().signal;
let client: MongoClient;
let commands: CommandStartedEvent[];
let collection: Collection<Row>;

beforeAll(async () => {
  const url = new URL(inject('keystride').mongodbUrl ?? '');
  url.pathname = `/keystride_test_${randomBytes(5).toString('hex')}`;
  client = await new MongoClient(url.href, { monitorCommands: true }).connect();
  client.on('commandStarted', (event) => commands.push(event));
  collection = client.db().collection<Row>('mixed');
});

beforeEach(() => {
  commands = [];
});

afterEach(() => collection.deleteMany({}));

afterAll(async () => {
  await client?.db().dropDatabase();
  await client?.close();
});

const fill = (ids: readonly unknown[]) =>
  collection.insertMany(ids.map((_id) => ({ _id }) as Row & { _id: never }));

const reader = () => mongoKeysetReader<Row>({ collection });

/** Ids of every kind that make trouble, in the order in which MongoDB sorts them. */
const mixed: readonly unknown[] = [
  Long.MIN_VALUE,
  -5,
  1,
  2.5,
  Long.fromString('9007199254740991'),
  Long.fromString('9007199254740992'),
  Long.fromString('9007199254740993'),
  Long.MAX_VALUE,
  '',
  '1',
  'B',
  'a',
  'a-b',
  'ab',
  'é',
  '🙂',
  new Binary(Buffer.from('ab')),
  new Binary(Buffer.from('abc')),
  new UUID('00000000-0000-4000-8000-000000000000'),
  new UUID('f0000000-0000-4000-8000-000000000000'),
  new ObjectId('000000000000000000000001'),
  new ObjectId('65f000000000000000000001'),
  new ObjectId('65f000000000000000000002'),
  new Date('1969-12-31T23:59:59.999Z'),
  new Date('2025-10-01T00:00:00.001Z'),
];
const keysOf = (ids: readonly unknown[]) => ids.map((id) => cursorOfId(id).join(':'));

describe('an _id of every type', () => {
  test.for([1, 2, 3, 7, 24, 25, 26, 100])('is read once, in pages of %i', async (limit) => {
    await fill(mixed);
    for (const partitions of [1, 2, 5, 30]) {
      const found = await readAll(reader, limit, partitions);
      expect(found.map(({ key }) => key).toSorted()).toEqual(keysOf(mixed).toSorted());
      expect(found.map(({ item }) => cursorOfId(item._id).join(':'))).toEqual(found.map(({ key }) => key));
    }
  });

  test('is read in the order of the server', async () => {
    await fill(mixed);
    const sorted = await collection.find({}).sort({ _id: 1 }).toArray();
    const found = await readAll(reader, 4, 3);
    expect(found.map(({ key }) => key)).toEqual(keysOf(sorted.map(({ _id }) => _id)));
  });

  test('is written into a cursor from which it is made again', () => {
    const decimals = [
      Decimal128.fromString('0.1'),
      Decimal128.fromString('123456789012345678901234567890.1'),
    ];
    for (const id of [...mixed, ...decimals, Infinity, -Infinity, 0.1, 5e-324, 2 ** 60]) {
      const cursor = cursorOfId(id);
      expect(cursor.every((text) => typeof text === 'string')).toBe(true);
      const { value } = idOfCursor(JSON.parse(JSON.stringify(cursor)) as string[]);
      expect(cursorOfId(value)).toEqual(cursor);
      // A long that a number holds is that number; MongoDB compares them as one.
      expect(value).toEqual(cursor[0] === 'number' ? Number(id) : id);
    }
    expect(cursorOfId(Long.fromString('9007199254740993'))).toEqual(['long', '9007199254740993']);
  });

  test('stays the place of its document, whatever a processor makes of it', async () => {
    await fill([1, 'b']);
    const page = await reader().read({ range: { lower: null, upper: null }, after: null, limit: 5, signal });
    for (const item of page.items) item._id = 99 as never;
    expect([page.keyAt(0), page.keyAt(1)]).toEqual(['number:1', 'string:b']);
  });

  test('is read again by its cursor, or found to be gone', async () => {
    await fill(mixed);
    const found = await readAll(reader, 10);
    await collection.deleteOne({ _id: 'a' as never });
    const keys = found.map(({ cursor }) => cursor);
    const again = await reader().readKeys?.({ keys, signal });
    expect(again?.map((read) => read && 'item' in read && cursorOfId(read.item._id).join(':'))).toEqual(
      found.map(({ key }) => (key === 'string:a' ? undefined : key)),
    );
  });
});

test('documents that come during the run belong to another one, of each kind', async () => {
  await fill([1, 5, 'a', 'c', new ObjectId('65f000000000000000000001')]);
  const { ranges } = await reader().plan({ partitions: 2, signal });
  await fill([9, 'd', randomUUID(), new ObjectId('65f000000000000000000009'), new Date(0)]);
  await fill(['b']);
  const found = [];
  for (const range of ranges) found.push(...(await readRange(reader(), range, 2)));
  const late = found.filter(({ item }) => typeof item._id !== 'string');
  expect(late.map(({ key }) => key)).toEqual(['number:1', 'number:5', 'objectId:65f000000000000000000001']);
  // In the middle of what is being read there is no telling them from the others.
  expect(found.map(({ item }) => item._id)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  expect(found.map(({ item }) => item._id)).not.toContain('d');
});

test('a filter and a projection hold on every page', async () => {
  await collection.insertMany(
    mixed.map((_id, index) => ({ _id: _id as never, keep: index % 3 === 0, more: 1 })),
  );
  const kept = () =>
    mongoKeysetReader<Row>({ collection, filter: { keep: true }, projection: { keep: 1, _id: 0 } });
  const found = await readAll(kept, 2, 3);
  expect(found.map(({ key }) => key)).toHaveLength(9);
  for (const { item } of found) expect(Object.keys(item)).toEqual(['_id', 'keep']);
  expect((await kept().plan({ partitions: 3, signal })).expected).toBe(9);
});

test.each([{ a: 1 }, true, false])('an _id that is %o is refused, not left out', async (id) => {
  await fill([1, id]);
  await expect(reader().plan({ partitions: 2, signal })).rejects.toThrow(UnusableId);
  await expect(reader().plan({ partitions: 2, signal })).rejects.toThrow(/\.mixed: an _id is of type/);
});

test('an empty collection has no ranges', async () => {
  expect(await reader().plan({ partitions: 3, signal })).toEqual({ ranges: [], expected: 0 });
});

test(
  'any mix of ids, partitions and pages: each document once, from any cursor',
  { timeout: 60_000 },
  async () => {
    const id = fc.oneof(
      fc.integer(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromBigInt(value)),
      fc.string({ unit: 'grapheme', maxLength: 5 }).filter((text) => !text.includes('\0')),
      fc.uuid({ version: 4 }).map((text) => new UUID(text)),
      // Not empty, and dates far from zero: FerretDB takes '' and no bytes, 5 and the date 5, for the same _id.
      fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => new Binary(bytes)),
      fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new ObjectId(bytes)),
      fc.date({ noInvalidDate: true, min: new Date('2000-01-01'), max: new Date('2200-01-01') }),
    );
    // A long that a number holds as well is the same _id as that number.
    const identity = (value: unknown) =>
      value instanceof Long || typeof value === 'number' ? String(value) : cursorOfId(value).join(':');
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(id, { maxLength: 25, selector: identity }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(),
        async (ids, partitions, limit, choice) => {
          await collection.deleteMany({});
          if (ids.length > 0) await fill(ids);
          const plan = await reader().plan({ partitions, signal });
          expect(plan.expected).toBe(ids.length);
          expect(plan.ranges).toHaveLength(Math.min(ids.length, partitions));
          expect(plan.ranges.map(({ lower }) => lower)).toEqual(
            [null, ...plan.ranges.map(({ upper }) => upper)].slice(0, plan.ranges.length),
          );
          const parts = [];
          for (const range of plan.ranges) parts.push(await readRange(reader(), range, limit));
          expect(
            parts
              .flat()
              .map(({ item }) => identity(item._id))
              .toSorted(),
          ).toEqual(ids.map(identity).toSorted());
          const part = choice % Math.max(1, parts.length);
          const [range, read] = [plan.ranges[part], parts[part]];
          if (!range || !read) return;
          const from = choice % read.length;
          const rest = await readRange(reader(), range, limit, read[from]?.cursor ?? null);
          expect(rest.map(({ key }) => key)).toEqual(read.slice(from + 1).map(({ key }) => key));
        },
      ),
      { numRuns: 25 },
    );
  },
);

describe('documents that have one _id', () => {
  // No server that is at hand has views, time series or shards: what they give is told apart here by itself.
  test.each([
    ['numbers', [1, 2, 2]],
    ['a number and a long of the same value', [Long.fromNumber(7), 7]],
    ['longs', [Long.MAX_VALUE, Long.MAX_VALUE]],
    ['strings', ['a', 'b', 'b', 'c']],
    [
      'UUIDs',
      [new UUID('00000000-0000-4000-8000-000000000000'), new UUID('00000000-0000-4000-8000-000000000000')],
    ],
    ['ObjectIds', ['a', new ObjectId('65f000000000000000000001'), new ObjectId('65f000000000000000000001')]],
    ['dates', [new Date(0), new Date(0)]],
  ])('are refused: %s', (_, ids) => {
    const documents = ids.map((_id) => ({ _id }));
    expect(() => refuseRepeated(documents, 'shop.lines')).toThrow(UnusableId);
    expect(() => refuseRepeated(documents, 'shop.lines')).toThrow(
      /shop\.lines gives more than one document/u,
    );
  });

  test('are not taken for those of one that another type has', () => {
    const ids = [5, '5', new Binary(Buffer.from('5')), new Date(5)];
    expect(() =>
      refuseRepeated(
        ids.map((_id) => ({ _id })),
        'shop.lines',
      ),
    ).not.toThrow();
  });

  test('are looked for behind the end of a page, of whatever size', async () => {
    await fill(['a', 'b', 'c', 'd']);
    const { ranges } = await reader().plan({ partitions: 1, signal });
    const [range] = ranges;
    if (!range) throw new Error('no range was planned');
    const finds = () =>
      commands.filter(({ commandName }) => commandName === 'find').map(({ command }) => command);
    commands = [];
    const page = await reader().read({ range, after: null, limit: 2, signal });
    expect(page.items.map(({ _id }) => _id)).toEqual(['a', 'b']);
    expect(finds()).toMatchObject([{ limit: 3 }]);
    commands = [];
    const cut = await reader().read({ range, after: null, limit: 100, bytes: 1, signal });
    expect(cut.passed).toEqual(cut.cursorAt(cut.items.length - 1));
    const last = cut.items.at(-1)?._id;
    expect(finds()).toMatchObject([{}, { filter: { $and: [{}, { _id: { $eq: last } }] }, limit: 2 }]);
  });
});

test.each([
  ['view', { collation: { locale: 'en', strength: 2 } }, true],
  ['view', {}, false],
  ['collection', { collation: { locale: 'en', strength: 2 } }, false],
  ['timeseries', {}, false],
])('a %s with %j may take one _id for another: %s', (type, options, refused) => {
  const look = () => refuseCollated({ type, options }, 'shop.lines');
  if (refused) expect(look).toThrow(/shop\.lines is a view with a collation/u);
  else expect(look).not.toThrow();
});

test('what a collection is, its server is asked before anything is read', async () => {
  await fill([1]);
  commands = [];
  await reader().plan({ partitions: 1, signal });
  expect(commands[0]).toMatchObject({
    commandName: 'listCollections',
    command: { filter: { name: 'mixed' } },
  });
});
