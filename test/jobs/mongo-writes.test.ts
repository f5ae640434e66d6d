import { Binary, BSON, BSONRegExp, Code, type Collection, Double, Int32, Long, MongoClient } from 'mongodb';
import { ObjectId, Timestamp, UUID } from 'mongodb';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { OvertakenWrite } from '../../packages/keystride/src/contract/write-attempt.ts';
import {
  type KeyedDocument,
  type Unmarked,
  upsertDocuments,
} from '../../packages/keystride/src/stores/mongo/bulk.ts';
import { FileStore } from '../../packages/keystride/src/stores/mongo/files.ts';
import { createMongoClient } from '../../packages/keystride/src/stores/mongo/client.ts';
import { UnstorableDocument } from '../../packages/keystride/src/stores/mongo/storable.ts';
import { classifyMongo } from '../../packages/keystride/src/stores/mongo/errors.ts';
import { waitFor } from 'keystride/testing';
import { Way } from '../support/way.ts';

interface Note extends KeyedDocument {
  readonly text: string;
}

let way: Way;
let client: MongoClient;
let notes: Collection<Note>;

beforeAll(async () => {
  const url = new URL(inject('keystride').mongodbUrl ?? '');
  way = new Way(url.hostname, Number(url.port));
  const port = await way.open();
  client = createMongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`);
  notes = client.db(`keystride_test_writes_${process.pid}`).collection('note');
});

beforeEach(() => notes.deleteMany({}).then(() => undefined));

afterAll(async () => {
  way?.release();
  await notes?.db.dropDatabase();
  await client?.close();
  way?.close();
});

function notesOf(count: number, text: string): Unmarked<Note>[] {
  return Array.from({ length: count }, (_, index) => ({ _id: `note-${index}`, text }));
}

/** Writes as the attempt with this fence. */
function write(count: number, text: string, fence: number, epoch = 1) {
  return upsertDocuments(notes, notesOf(count, text), { epoch, fence });
}

test('writing again replaces what is there, more documents at a time than a server has connections', async () => {
  expect(await write(80, 'first', 1)).toEqual([]);
  const again = await Promise.all([write(80, 'second', 2), write(80, 'second', 2), write(80, 'second', 2)]);
  for (const there of again) expect(there).toHaveLength(80);
  expect(await notes.countDocuments({ text: 'second', epoch: 1, fence: 2 })).toBe(80);
  expect(await notes.countDocuments({})).toBe(80);
});

test.for([
  ['of an earlier execution', 1],
  ['of the same execution', 2],
  ['of a ledger that was restored to another epoch', 3],
])('an earlier attempt %s changes nothing, and is told so', async ([, epoch]) => {
  await write(10, 'live', 20, 2);
  const refused: unknown = await write(20, 'ghost', 19, Number(epoch)).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(OvertakenWrite);
  expect(refused).toMatchObject({ fence: 20 });
  expect(await notes.countDocuments({ text: 'live', epoch: 2, fence: 20 })).toBe(10);
  // What was not there yet the next attempt finds, and replaces.
  expect(await write(20, 'later', 21)).toHaveLength(20);
  expect(await notes.countDocuments({ text: 'later' })).toBe(20);
});

test('a document that is overtaken while it is written is not counted as written', async () => {
  await write(1, 'first', 1);
  // The later attempt comes between the look and the replacement.
  let messages = 0;
  way.onMessage = () => (++messages === 3 ? 'waits' : 'passes');
  const late = write(1, 'late', 2).catch((error: unknown) => error);
  await waitFor(() => way.holds, { what: 'the replacement to be held up' });
  way.onMessage = () => 'passes';
  await write(1, 'later', 3);
  way.release();
  expect(await late).toBeInstanceOf(OvertakenWrite);
  expect(await notes.findOne({})).toMatchObject({ text: 'later', fence: 3 });
});

test('documents that release 0.1.0 wrote are older than any attempt, whatever their epoch', async () => {
  await notes.insertMany(notesOf(5, 'of 0.1.0').map((note) => ({ ...note, epoch: 9 })));
  expect(await write(5, 'new', 1)).toHaveLength(5);
  expect(await notes.countDocuments({ text: 'new', fence: 1 })).toBe(5);
});

test('what was there is returned with the fields that are asked for', async () => {
  await write(2, 'first', 1);
  const there = await upsertDocuments(notes, notesOf(3, 'second'), { epoch: 1, fence: 2 }, ['text']);
  expect(there.toSorted((a, b) => a._id.localeCompare(b._id))).toMatchObject([
    { _id: 'note-0', text: 'first' },
    { _id: 'note-1', text: 'first' },
  ]);
});

test('a key that another unique index refuses is an error, not a write', async () => {
  await notes.createIndex({ text: 1 }, { unique: true });
  await notes.insertOne({ _id: 'another', epoch: 1, text: 'taken' });
  await expect(write(1, 'taken', 2)).rejects.toMatchObject({ code: 11000 });
  await notes.dropIndex('text_1');
});

test.for([0, 20])(
  'a connection lost while writing is an error that may pass, with %i there already',
  async (there) => {
    await write(there, 'first', 1);
    way.onMessage = () => 'is cut';
    const error: unknown = await write(20, 'second', 2).catch((thrown: unknown) => thrown);
    way.release();
    expect(error, 'never taken for acknowledged').toBeInstanceOf(Error);
    expect(classifyMongo(error)).toMatchObject({ decision: 'retry', unavailable: true });
    await write(20, 'second', 2);
    expect(await notes.countDocuments({ text: 'second' })).toBe(20);
  },
);

/** What the driver would write as something else, or leave out. */
const changed: Readonly<Record<string, unknown>> = {
  'half of a surrogate pair': 'a\uD800b',
  'half of one in a name': { 'a\uDC00': 1 },
  'half of one deep below': [{ list: [[{ text: '\uD83D' }]] }],
  'a date that is none': new Date(Number.NaN),
  'a bigint of 65 bits': 2n ** 63n,
  'one below the lowest': -(2n ** 63n) - 1n,
  'a function': () => 1,
  'a symbol': Symbol('a'),
  'a set': new Set([1]),
  'floating numbers of an array of their own': new Float64Array([1]),
  'a pattern with flags of JavaScript': /a/gu,
  'half of one in a pattern': new RegExp('\uD800'),
  'half of one in code': new Code('\uD800'),
  'half of one in the scope of code': new Code('1', { a: '\uD800' }),
  'an unsigned whole number that is negative when it is read': Long.MAX_UNSIGNED_VALUE,
  'undefined in a list': [1, undefined],
  'a promise': Promise.resolve(1),
  'a promise deep below': { a: [{ b: Promise.resolve(1) }] },
  'an error': new Error('a'),
  'a boxed text': Object('a'),
  'bytes that are no view': new ArrayBuffer(1),
  'an object that shows nothing of itself': new (class {
    readonly #kept = 1;
    tells() {
      return this.#kept;
    }
  })(),
  'an address': new URL('http://a.example/'),
  'a map with keys that are no texts': new Map([[1, 2]]),
  'a set in a map': new Map([['a', new Set()]]),
  'what is nothing to MongoDB': { toBSON: () => undefined },
  'what is a set to MongoDB': { toBSON: () => ({ a: new Set() }) },
};

test.each(Object.entries(changed))(
  'a document with %s is refused, and nothing is written',
  async (_, value) => {
    const documents = [...notesOf(3, 'good'), { _id: 'bad', text: value as string }];
    const refusal = await upsertDocuments(notes, documents, { epoch: 1, fence: 1 }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(UnstorableDocument);
    expect((refusal as Error).message).not.toContain('\uFFFD');
    expect(await notes.countDocuments({})).toBe(0);
  },
);

test('a document that holds itself twice is refused, and not gone through for ever', async () => {
  const itself: Record<string, unknown> = { _id: 'a' };
  Object.assign(itself, { one: itself, other: itself });
  const writing = upsertDocuments(notes, [itself as unknown as Note], { epoch: 1, fence: 1 });
  await expect(writing).rejects.toThrow(/more than 200 levels/u);
});

test.for([
  ['no _id', [{ text: 'a' }], /has no _id/u],
  ['an _id that is null', [{ _id: null, text: 'a' }], /has no _id/u],
  ['the _id of another one', [...notesOf(2, 'a'), ...notesOf(1, 'b')], /same _id/u],
  ['an epoch of its own', [{ _id: 'a', epoch: 1, text: 'a' }], /a field epoch of its own/u],
  ['a fence of its own', [{ _id: 'a', fence: 1, text: 'a' }], /a field fence of its own/u],
] as const)('a document with %s is refused', async ([, documents, told]) => {
  const writing = upsertDocuments(notes, documents as unknown as Note[], { epoch: 1, fence: 1 });
  await expect(writing).rejects.toThrow(told);
  expect(await notes.countDocuments({})).toBe(0);
});

test('what is undefined is left out, by any client, the first time and over another', async () => {
  const plain = await new MongoClient(inject('keystride').mongodbUrl ?? '').connect();
  try {
    const collection = plain.db(notes.dbName).collection<Note>(notes.collectionName);
    for (const fence of [1, 2]) {
      const document = { _id: 'a', text: undefined as unknown as string, note: { at: undefined } };
      await upsertDocuments<Note, never>(collection, [document], { epoch: 1, fence });
      expect(await collection.findOne({})).toEqual({ _id: 'a', note: {}, epoch: 1, fence });
    }
  } finally {
    await plain.close();
  }
});

test.for([
  ['a name', 'a\uD800', {}],
  ['metadata', 'a', { of: Promise.resolve(1) }],
] as const)('%s of a file that would be another one is refused', async ([, name, metadata]) => {
  const files = new FileStore(notes.db, 'odd');
  await expect(files.store('a', name, Buffer.from('a'), metadata)).rejects.toThrow(UnstorableDocument);
  expect(await notes.db.collection('odd.chunks').countDocuments({})).toBe(0);
});

/** What is stored as it is; FerretDB has neither decimals nor infinite numbers. */
const kept: readonly unknown[] = [
  ...[-(2 ** 31), 2 ** 31 - 1, 2 ** 53, 0.1, 5e-324, Number.MAX_VALUE, new Double(1), new Int32(1)],
  ...[Long.MIN_VALUE, Long.MAX_VALUE, 2n ** 63n - 1n, -(2n ** 63n)],
  ...['', '🙂', '\u{10FFFF}', '\uFEFFa', '$a.b', true, null, [], {}, [null, 1]],
  ...[new Date(-8.64e15), new Date(8.64e15), new Date('-000044-03-15T00:00:00.000Z')],
  ...[new Binary(Buffer.from('a'), 128), new UUID(), new Binary(Buffer.alloc(0), 0), new ObjectId()],
  ...[Long.fromNumber(5, true), new Map([['a', new Map([['b', 1]])]])],
  ...[{ a: undefined, toBSON: () => ({ a: 1 }) }, Object.create(null)],
  ...[new Timestamp({ t: 4_294_967_295, i: 4_294_967_295 }), new BSONRegExp('a', 'im')],
  JSON.parse('{"__proto__": 1, "constructor": {"toString": 2}}'),
];

test('whatever a document holds, it is stored to the bit, the first time and over another', async () => {
  const documents = kept.map((value, index) => ({ _id: String(index), text: value as string }));
  const marks = { epoch: 1, fence: 1 };
  for (const fence of [1, 2]) {
    await upsertDocuments(notes, documents, { ...marks, fence });
    const found = await notes.find({}, { raw: true }).toArray();
    const bytes = new Map(
      found.map((raw) => [BSON.deserialize(raw as unknown as Uint8Array)['_id'], Buffer.from(raw as never)]),
    );
    for (const document of documents)
      expect(bytes.get(document._id), document._id).toEqual(
        Buffer.from(BSON.serialize({ ...document, ...marks, fence })),
      );
  }
});
