import { MongoServerError } from 'mongodb';
import { expect, inject, test } from 'vitest';
import { createMongoClient, databaseOf } from '../../packages/keystride/src/stores/mongo/client.ts';

test.for([
  '',
  'w=0',
  'w=1&journal=false',
  'wtimeoutMS=1',
  'readPreference=secondary',
  'readPreference=nearest&readPreferenceTags=rack:one',
  'readPreference=secondaryPreferred&maxStalenessSeconds=120',
  'retryWrites=false&retryReads=false',
])('an address that asks for "%s" reads what is there, and hears of each write', async (options) => {
  const url = new URL(inject('keystride').mongodbUrl ?? '');
  url.pathname = `/keystride_test_client_${process.pid}`;
  url.search = `${url.search}${url.search === '' ? '?' : '&'}${options}`;
  const client = createMongoClient(url.href);
  const database = databaseOf(client, url.href);
  try {
    const notes = database.collection<{ _id: string }>('note');
    for (const { readPreference, writeConcern } of [database, notes])
      expect({ mode: readPreference?.mode, writeConcern }).toMatchObject({
        mode: 'primary',
        writeConcern: { w: 'majority', j: true },
      });
    await notes.insertOne({ _id: 'once' });
    expect(await notes.countDocuments()).toBe(1);
    await expect(notes.insertOne({ _id: 'once' })).rejects.toThrow(MongoServerError);
  } finally {
    await database.dropDatabase();
    await client.close();
  }
});
