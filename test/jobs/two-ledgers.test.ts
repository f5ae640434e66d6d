import { afterAll, beforeAll, expect, test } from 'vitest';
import { marksCollection } from '../../packages/keystride/src/stores/mongo/ledger-mark.ts';
import { addTargets, expectMigrated, openStores, type Stores } from '../support/migration.ts';
import { failureOf, run, startVerification, verify } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

/** Two installations, each with a ledger of its own, that write to one MongoDB database. */
let first: World;
let second: World;
let stores: Stores;
let ofSecond: Stores;

beforeAll(async () => {
  [first, second] = await Promise.all([createWorld(), createWorld()]);
  stores = openStores(first);
  ofSecond = openStores({ ...addressesOf(second), mongodbUrl: first.mongodbUrl });
  // The databases of tests are copies of one, their ledgers too.
  await ofSecond.migration.query('UPDATE keystride.ledger SET id = gen_random_uuid()');
  await first.startWorker();
  await second.startWorker({ environment: { MONGODB_URL: first.mongodbUrl } });
});

afterAll(async () => {
  await stores?.close();
  await ofSecond?.close();
  await first?.dispose();
  await second?.dispose();
});

const addressesOf = ({ databaseUrl, sourceDatabaseUrl }: World) => ({ databaseUrl, sourceDatabaseUrl });

test('the one that comes second is refused by name, writes nothing and removes nothing', async () => {
  await addTargets(stores, 3);
  await addTargets(ofSecond, 5);
  await run(first, 'documentMigration');
  const { message } = await failureOf(await second.start('documentMigration'));
  expect(message).toMatch(
    /OtherLedger: collection sentence_extract of MongoDB is written under another ledger/u,
  );
  const parameters = { run: 1 };
  const repair = await startVerification(second, { job: 'documentMigration', parameters, repair: true });
  expect((await failureOf(repair)).message).toContain('is written under another ledger');
  await expectMigrated(stores, { documents: 3 });
  expect(await verify(first)).toMatchObject({ verified: true, compared: 3 });
});

test('it writes where the mark of a ledger that is gone was removed', async () => {
  await stores.mongo.collection<{ _id: string }>(marksCollection).deleteOne({ _id: 'sentence_extract' });
  await run(second, 'documentMigration');
  await expectMigrated(ofSecond, { documents: 5 });
});
