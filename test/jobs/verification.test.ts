import { afterAll, beforeAll, expect, test } from 'vitest';
import { preprocessIdOf } from '../../src/activities/document-migration/document.ts';
import { FileStore } from '../../src/stores/mongo/files.ts';
import { addTargets, openStores, ticketKey, type Stores } from '../support/migration.ts';
import { failureOf, run, startVerification, verify } from '../support/runs.ts';
import { createWorld, type World } from '../support/stack.ts';

let world: World;
let stores: Stores;

beforeAll(async () => {
  world = await createWorld({ legacyApi: [`--override=${ticketKey(9)}=404`] });
  stores = openStores(world);
  await addTargets(stores, 40);
  await world.startWorker();
  await run(world, 'documentMigration');
});

afterAll(async () => {
  await stores?.close();
  await world?.dispose();
});

const stranger = '7d444840-9dc0-51d1-b245-5ffdce74fad2';

interface Damage {
  readonly what: string;
  /** One line of the report. */
  readonly said: RegExp;
  plant(): Promise<unknown>;
  repair(): Promise<unknown>;
}

const extracts = () =>
  stores.mongo.collection<{ _id: string; sentences?: { text: string }[] }>('sentence_extract');
const query = (text: string, values: unknown[] = []) => stores.migration.query(text, values);
const idOf = (number: number) => preprocessIdOf(ticketKey(number));

/** Takes one document out of a collection and puts it back. */
function withoutExtract(number: number): Pick<Damage, 'plant' | 'repair'> {
  let taken: { _id: string } | null;
  return {
    plant: async () => (taken = await extracts().findOneAndDelete({ _id: idOf(number) })),
    repair: () => extracts().insertOne(taken as { _id: string }),
  };
}

/** Replaces one document by a changed one, and back. */
function changedExtract(
  number: number,
  change: (extract: object) => object,
): Pick<Damage, 'plant' | 'repair'> {
  let original: { _id: string } | null;
  const put = async (extract: object) => extracts().replaceOne({ _id: idOf(number) }, extract);
  return {
    plant: async () => {
      original = await extracts().findOne({ _id: idOf(number) });
      return put(change(structuredClone(original ?? {})));
    },
    repair: () => put(original ?? {}),
  };
}

const damages: Damage[] = [
  { what: 'a missing document', said: /^target 5: no document in sentence_extract$/, ...withoutExtract(5) },
  {
    what: 'an altered hash of a job',
    said: /^target 6: document and preprocess job differ in sha256$/,
    plant: () => query(`UPDATE preprocess_job SET sha256 = reverse(sha256) WHERE id = $1`, [idOf(6)]),
    repair: () => query(`UPDATE preprocess_job SET sha256 = reverse(sha256) WHERE id = $1`, [idOf(6)]),
  },
  {
    what: 'an altered count of a job',
    said: /^target 6: document and preprocess job differ in sentence count$/,
    plant: () =>
      query(`UPDATE preprocess_job SET sentence_count = sentence_count + 1 WHERE id = $1`, [idOf(6)]),
    repair: () =>
      query(`UPDATE preprocess_job SET sentence_count = sentence_count - 1 WHERE id = $1`, [idOf(6)]),
  },
  {
    what: 'an altered sentence',
    said: /^target 7: the content of its document has another hash than the document says$/,
    ...changedExtract(7, (extract) => {
      const [first] = (extract as { sentences: { text: string }[] }).sentences;
      if (first) first.text += ' ';
      return extract;
    }),
  },
  {
    what: 'a document whose file is missing',
    said: /^target 8: the file of its document is missing$/,
    ...changedExtract(8, (extract) => ({ ...extract, sentences: [], fileId: idOf(8) })),
  },
  {
    what: 'a target that was left out',
    said: /^target 10: not migrated$/,
    plant: () => query('UPDATE migration_target SET migrated = false WHERE id = 10'),
    repair: () => query('UPDATE migration_target SET migrated = true WHERE id = 10'),
  },
  {
    what: 'a target that names another job',
    said: /^target 10: names another preprocess job than its own$/,
    plant: () => query('UPDATE migration_target SET preprocess_id = $1 WHERE id = 10', [stranger]),
    repair: () => query('UPDATE migration_target SET preprocess_id = $1 WHERE id = 10', [idOf(10)]),
  },
  {
    what: 'a fault that is not noted',
    said: /^target 9: migrated, without a preprocess job$/,
    plant: () => query('UPDATE expected_migration_target SET migration_target_id = -9'),
    repair: () => query('UPDATE expected_migration_target SET migration_target_id = 9'),
  },
  {
    what: 'a fault noted for a document that is stored',
    said: /^target 9: both expected to fail and stored$/,
    plant: () =>
      query(
        `INSERT INTO preprocess_job (id, ticket_key, status, sentence_count, sha256) VALUES ($1, $2, 'READY', 1, '')`,
        [idOf(9), ticketKey(9)],
      ),
    repair: () => query('DELETE FROM preprocess_job WHERE id = $1', [idOf(9)]),
  },
  {
    what: 'a job that no target leads to',
    said: new RegExp(`^preprocess job ${stranger}: no target leads to it$`),
    plant: () =>
      query(
        `INSERT INTO preprocess_job (id, ticket_key, status, sentence_count, sha256) VALUES ($1, 'X', 'READY', 1, '')`,
        [stranger],
      ),
    repair: () => query('DELETE FROM preprocess_job WHERE id = $1', [stranger]),
  },
  {
    what: 'a document that no job leads to',
    said: new RegExp(`^document ${stranger}: no preprocess job leads to it$`),
    plant: () => extracts().insertOne({ _id: stranger }),
    repair: () => extracts().deleteOne({ _id: stranger }),
  },
  {
    what: 'a file that no document leads to',
    said: new RegExp(`^file ${stranger}: no document leads to it$`),
    plant: () =>
      new FileStore(stores.mongo, 'sentences').replace(stranger, 'stranger.json', Buffer.from('[]'), {}),
    repair: () => new FileStore(stores.mongo, 'sentences').remove([stranger]),
  },
  {
    what: 'chunks of a file that was never finished',
    said: new RegExp(`^file ${stranger}: chunks without a file$`),
    plant: () =>
      stores.mongo
        .collection('sentences.chunks')
        .insertOne({ files_id: stranger, n: 0, data: Buffer.from('[') }),
    repair: () => stores.mongo.collection('sentences.chunks').deleteMany({ files_id: stranger }),
  },
];

const clean = { verified: true, compared: 40, differences: 0, examples: [] };

test('what the job has left is verified, as often as asked', async () => {
  expect(await verify(world)).toMatchObject(clean);
  expect(await verify(world)).toMatchObject(clean);
});

test.for(damages)('$what is named, and gone after its repair', async ({ said, plant, repair }) => {
  await plant();
  const report = await verify(world);
  await repair();
  expect(report).toMatchObject({
    verified: false,
    compared: 40,
    differences: 1,
    examples: [expect.stringMatching(said)],
  });
  expect(await verify(world)).toMatchObject(clean);
});

const reparable = damages.filter(({ said }) => said.source.startsWith('^target'));

test('asked to repair, it runs the targets again that differ, and finds them right', async () => {
  const planted = [5, 6, 7, 8, 10].map((target) =>
    reparable.find(({ said }) => said.source.includes(`target ${target}:`)),
  );
  for (const damage of planted) await damage?.plant();
  expect(await (await startVerification(world, { repair: true })).result()).toMatchObject({
    ...clean,
    repaired: planted.length,
    examples: planted.map((damage) => expect.stringMatching(damage?.said ?? /never/) as unknown),
  });
  expect(await verify(world)).toMatchObject(clean);
});

test('what no target leads to is told, and not repaired', async () => {
  await extracts().insertOne({ _id: stranger });
  const report: unknown = await (await startVerification(world, { repair: true })).result();
  await extracts().deleteOne({ _id: stranger });
  expect(report).toMatchObject({ verified: false, differences: 1, repaired: 0 });
});

test('nothing is repaired while the instance runs', async () => {
  const { plant, repair } = withoutExtract(5);
  await plant();
  await query(`UPDATE keystride.instance SET status = 'running'`);
  const { type, message } = await failureOf(await startVerification(world, { repair: true }));
  await query(`UPDATE keystride.instance SET status = 'completed'`);
  expect([type, message]).toEqual(['RepairRefused', expect.stringContaining('is running: stop it')]);
  expect(await verify(world)).toMatchObject({ verified: false, differences: 1 });
  await repair();
});

test('a document lost behind an extra one is not covered up by the count', async () => {
  const { plant, repair } = withoutExtract(5);
  await plant();
  await extracts().insertOne({ _id: stranger });
  const report = await verify(world);
  await repair();
  await extracts().deleteOne({ _id: stranger });
  expect(report).toMatchObject({ verified: false, differences: 2 });
  expect(report.examples.join()).toMatch(/target 5: no document.*no preprocess job leads to it/);
});

test('a job whose verification finds a difference fails, and completes after the repair', async () => {
  await extracts().insertOne({ _id: stranger });
  const { type, message } = await failureOf(await world.start('documentMigration', { run: 2 }));
  expect(type).toBe('VerificationFailed');
  expect(message).toContain(`documentMigration:run=2: 1 differences among 40 keys: document ${stranger}`);
  await extracts().deleteOne({ _id: stranger });
  expect(await run(world, 'documentMigration', { run: 2 })).toMatchObject({ status: 'completed' });
});
