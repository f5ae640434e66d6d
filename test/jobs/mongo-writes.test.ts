import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Collection, MongoClient } from 'mongodb';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { type KeyedDocument, upsertDocuments } from '../../src/stores/mongo/bulk.ts';
import { createMongoClient } from '../../src/stores/mongo/client.ts';
import { classifyMongo } from '../../src/stores/mongo/errors.ts';

interface Note extends KeyedDocument {
  readonly text: string;
}

/** A way to the server that can be cut: whatever is sent after that ends the connection instead of arriving. */
class Way {
  cut = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(host: string, port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, host);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => (near.destroy(), far.destroy()));
      }
      near.on('data', (bytes) => (this.cut ? near.destroy() : far.write(bytes)));
      far.on('data', (bytes) => near.write(bytes));
    });
  }

  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

let way: Way;
let client: MongoClient;
let notes: Collection<Note>;

beforeAll(async () => {
  const url = new URL(inject('sharedStack').mongodbUrl);
  way = new Way(url.hostname, Number(url.port));
  const port = await way.open();
  client = createMongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`);
  notes = client.db(`keystride_test_writes_${process.pid}`).collection('note');
});

beforeEach(() => notes.deleteMany({}).then(() => undefined));

afterAll(async () => {
  if (way) way.cut = false;
  await notes?.db.dropDatabase();
  await client?.close();
  way?.close();
});

function notesOf(count: number, text: string, epoch: number): Note[] {
  return Array.from({ length: count }, (_, index) => ({ _id: `note-${index}`, epoch, text }));
}

test('writing again replaces what is there, more documents at a time than a server has connections', async () => {
  expect(await upsertDocuments(notes, notesOf(80, 'first', 1))).toEqual([]);
  const again = await Promise.all([
    upsertDocuments(notes, notesOf(80, 'second', 2)),
    upsertDocuments(notes, notesOf(80, 'second', 2)),
    upsertDocuments(notes, notesOf(80, 'second', 2)),
  ]);
  for (const there of again) expect(there).toHaveLength(80);
  expect(await notes.countDocuments({ text: 'second', epoch: 2 })).toBe(80);
  expect(await notes.countDocuments({})).toBe(80);
});

test('a document of a later epoch is left alone', async () => {
  await upsertDocuments(notes, notesOf(10, 'live', 2));
  await upsertDocuments(notes, notesOf(20, 'ghost', 1));
  expect(await notes.countDocuments({ text: 'live' })).toBe(10);
  expect(await notes.countDocuments({ text: 'ghost' })).toBe(10);
});

test.for([0, 20])(
  'a connection lost while writing is an error that may pass, with %i there already',
  async (there) => {
    await upsertDocuments(notes, notesOf(there, 'first', 1));
    way.cut = true;
    const error: unknown = await upsertDocuments(notes, notesOf(20, 'second', 1)).catch(
      (thrown: unknown) => thrown,
    );
    way.cut = false;
    expect(error, 'never taken for acknowledged').toBeInstanceOf(Error);
    expect(classifyMongo(error)).toMatchObject({ decision: 'retry', unavailable: true });
    await upsertDocuments(notes, notesOf(20, 'second', 1));
    expect(await notes.countDocuments({ text: 'second' })).toBe(20);
  },
);
