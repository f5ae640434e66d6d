import type { Collection, MongoClient } from 'mongodb';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { OvertakenWrite } from '../../packages/keystride/src/contract/write-attempt.ts';
import {
  type KeyedDocument,
  type Unmarked,
  upsertDocuments,
} from '../../packages/keystride/src/stores/mongo/bulk.ts';
import { createMongoClient } from '../../packages/keystride/src/stores/mongo/client.ts';
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
