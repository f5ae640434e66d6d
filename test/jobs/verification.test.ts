import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { preprocessIdOf } from '../../src/activities/document-migration/document.ts';
import { compareDocuments } from '../../src/activities/document-migration/verify.ts';
import { FileStore } from '../../packages/keystride/src/stores/mongo/files.ts';
import { addTargets, openStores, ticketKey, type Stores } from '../support/migration.ts';
import { failureOf, run, startVerification, stepOf, verify } from '../support/runs.ts';
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
const unfinished = `${stranger}/1.2.0123abcd`;

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

/** Puts a document's sentences into a file of two parts and loses one. */
function withPartlyLostFile(number: number): Pick<Damage, 'plant' | 'repair'> {
  const fileId = `${idOf(number)}/1.1.0123abcd`;
  const { plant, repair } = changedExtract(number, (extract) => ({ ...extract, sentences: [], fileId }));
  return {
    plant: async () => {
      await plant();
      await new FileStore(stores.mongo, 'sentences').store(fileId, 'lost.json', Buffer.alloc(300_000), {});
      await stores.mongo.collection('sentences.chunks').deleteOne({ files_id: fileId, n: 0 });
    },
    repair: async () => {
      await repair();
      await new FileStore(stores.mongo, 'sentences').remove([fileId]);
    },
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
    what: 'a document whose file lacks a part',
    said: /^target 8: the file of its document lacks a part$/,
    ...withPartlyLostFile(8),
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
      new FileStore(stores.mongo, 'sentences').store(stranger, 'stranger.json', Buffer.from('[]'), {}),
    repair: () => new FileStore(stores.mongo, 'sentences').remove([stranger]),
  },
  {
    what: 'chunks of a file that was never finished',
    said: new RegExp(`^file ${unfinished}: chunks without a file$`),
    plant: () =>
      stores.mongo
        .collection('sentences.chunks')
        .insertOne({ files_id: unfinished, n: 0, data: Buffer.from('[') }),
    repair: () => stores.mongo.collection('sentences.chunks').deleteMany({ files_id: unfinished }),
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
    examples: expect.arrayContaining(
      planted.map((damage) => expect.stringMatching(damage?.said ?? /never/) as unknown),
    ) as unknown,
  });
  expect(await verify(world)).toMatchObject(clean);
});

const orphans = damages.filter(({ said }) => /^\^(document|file) /.test(said.source));

test('asked to repair, it removes documents and files that nothing leads to, and says how many', async () => {
  expect(orphans).toHaveLength(3);
  for (const { plant } of orphans) await plant();
  expect(await (await startVerification(world, { repair: true })).result()).toMatchObject({
    ...clean,
    repaired: orphans.length,
    examples: expect.arrayContaining([expect.stringMatching(/no preprocess job leads to it/)]) as unknown,
  });
  expect(await verify(world)).toMatchObject(clean);
});

test('a job that no target leads to is told, and not removed', async () => {
  const job = damages.find(({ what }) => what === 'a job that no target leads to');
  await job?.plant();
  const report: unknown = await (await startVerification(world, { repair: true })).result();
  await job?.repair();
  expect(report).toMatchObject({ verified: false, differences: 1, repaired: 0 });
});

test('a file of an attempt that began after the repair is left alone', async () => {
  const later = `${idOf(5)}/9.${Date.now() + 1_000_000}.0123abcd`;
  const files = new FileStore(stores.mongo, 'sentences');
  await files.store(later, 'later.json', Buffer.from('[]'), {});
  const report: unknown = await (await startVerification(world, { repair: true })).result();
  expect(report).toMatchObject({ verified: false, differences: 1, leftovers: 1, repaired: 0 });
  expect(await files.read(later)).toEqual(Buffer.from('[]'));
  await files.remove([later]);
});

test('a document that release 0.1.0 has written, with its file, is verified and replaced', async () => {
  const files = new FileStore(stores.mongo, 'sentences');
  const { sentences } = (await extracts().findOne({ _id: idOf(11) })) ?? {};
  // The file had the id of its document, the document an epoch and no fence.
  await files.store(idOf(11), 'old.json', Buffer.from(JSON.stringify(sentences)), {});
  await extracts().updateOne(
    { _id: idOf(11) },
    { $set: { fileId: idOf(11), epoch: 9 }, $unset: { sentences: '', fence: '' } },
  );
  expect(await verify(world)).toMatchObject(clean);
  // Made to differ, so that the repair fetches it again.
  await query(`UPDATE preprocess_job SET sha256 = reverse(sha256) WHERE id = $1`, [idOf(11)]);
  const report: unknown = await (await startVerification(world, { repair: true })).result();
  expect(report).toMatchObject({ verified: true, repaired: 1 });
  expect(await extracts().findOne({ _id: idOf(11) })).toMatchObject({ epoch: 1, sentences });
  expect(await files.idsAbove('', 10)).toEqual([]);
  expect(await verify(world)).toMatchObject(clean);
});

test('a page that was thought dead commits nothing after a repair', async () => {
  await query(`UPDATE keystride.checkpoint SET holder = 'a ghost', done = false`);
  await (await startVerification(world, { repair: true })).result();
  const { rows } = await query('SELECT holder FROM keystride.checkpoint');
  await query(`UPDATE keystride.checkpoint SET done = true`);
  expect(rows).toEqual([{ holder: null }]);
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

describe('page by page', () => {
  const strangers = [' ', '0', stranger, 'A', 'zz', '\u{1f600}'];
  const { plant, repair } = withoutExtract(5);

  beforeAll(async () => {
    await plant();
    await extracts().insertMany(strangers.map((_id) => ({ _id })));
  });

  afterAll(async () => {
    await extracts().deleteMany({ _id: { $in: strangers } });
    await repair();
  });

  async function told(limit: number, from: unknown = null): Promise<string[]> {
    const { comparePage } = compareDocuments({ database: stores.migration, mongo: stores.mongo } as never);
    const found: string[] = [];
    let position = from;
    do {
      const page = await comparePage(position, limit, new AbortController().signal);
      found.push(...page.differences.map((difference) => difference.told));
      position = structuredClone(page.position);
    } while (position !== null);
    return found.toSorted();
  }

  const differences = [
    ...strangers.map((id) => `document ${id}: no preprocess job leads to it`),
    'target 5: no document in sentence_extract',
  ].toSorted();

  test.for([1, 2, 3, 7, 39, 40, 5000])('by %i, each difference is told once', async (limit) => {
    expect(await told(limit)).toEqual(differences);
  });

  test('documents are compared too where a worker of an earlier build has come to what no job leads to', async () => {
    const earlier = { phase: 'extracts', after: '', clean: true, jobsFound: 39 };
    expect(await told(100, earlier)).toEqual(differences);
  });
});

test('a run that finds a file which an attempt has left completes, and says so', async () => {
  const file = damages.find(({ what }) => what === 'a file that no document leads to');
  await file?.plant();
  const report = await run(world, 'documentMigration', { run: 3 });
  await file?.repair();
  expect(report).toMatchObject({ status: 'completed' });
  expect(stepOf(report, 'verify').result).toMatchObject({
    differences: 0,
    leftovers: 1,
    examples: [`file ${stranger}: no document leads to it`],
  });
});

test('a job whose verification finds a difference fails, and completes after the repair', async () => {
  await extracts().insertOne({ _id: stranger });
  const { type, message } = await failureOf(await world.start('documentMigration', { run: 2 }));
  expect(type).toBe('VerificationFailed');
  expect(message).toContain(`documentMigration:run=2: 1 differences among 40 keys: document ${stranger}`);
  await extracts().deleteOne({ _id: stranger });
  expect(await run(world, 'documentMigration', { run: 2 })).toMatchObject({ status: 'completed' });
});
