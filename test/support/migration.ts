import { createHash } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Db, MongoClient } from 'mongodb';
import type pg from 'pg';
import { expect } from 'vitest';
import {
  hashOfFile,
  hashOfSentences,
  preprocessIdOf,
} from '../../src/activities/document-migration/document.ts';
import { createDocumentSource, type DocumentSource } from '../../src/stubs/legacy-api/documents.ts';
import { createMongoClient, databaseOf } from '../../packages/keystride/src/stores/mongo/client.ts';
import { FileStore } from '../../packages/keystride/src/stores/mongo/files.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { refusalsIn } from './history.ts';
import { reportOf, stepOf } from './runs.ts';
import type { LegacyApiStatistics, World } from './stack.ts';

/** The databases of a world, opened for filling them and for looking at what a job has left there. */
export interface Stores {
  readonly service: pg.Pool;
  readonly migration: pg.Pool;
  readonly mongo: Db;
  close(): Promise<void>;
}

/** Opens them; they outlive restarts of their servers. */
export function openStores(world: Pick<World, 'databaseUrl' | 'sourceDatabaseUrl' | 'mongodbUrl'>): Stores {
  const client: MongoClient = createMongoClient(world.mongodbUrl);
  const service = createPool(world.sourceDatabaseUrl, 'keystride test', 4);
  const migration = createPool(world.databaseUrl, 'keystride test', 4);
  return {
    service,
    migration,
    mongo: databaseOf(client, world.mongodbUrl),
    close: async () => {
      await Promise.all([service.end(), migration.end(), client.close()]);
    },
  };
}

/** The ticket key of document `number`, from 1. */
export function ticketKey(number: number): string {
  return `T-${String(number).padStart(7, '0')}`;
}

/** Makes targets for documentMigration, with ids and ticket keys from 1 on. */
export async function addTargets(stores: Stores, count: number): Promise<void> {
  await stores.migration.query(
    `INSERT INTO migration_target (ticket_key)
     SELECT 'T-' || lpad(number::text, 7, '0') FROM generate_series(1, $1::int) AS number ORDER BY number`,
    [count],
  );
}

/** Takes everything out of the target databases, the ledger included, and forgets what the stub has counted. */
export async function emptyTarget(world: World, stores: Stores): Promise<void> {
  await stores.migration.query(
    `TRUNCATE migration_target, preprocess_job, expected_migration_target, keystride.instance, keystride.step,
              keystride.checkpoint, keystride.skip, keystride.stream_offset RESTART IDENTITY CASCADE`,
  );
  for (const name of ['sentence_extract', 'sentences.files', 'sentences.chunks'])
    await stores.mongo.collection(name).deleteMany({});
  await fetch(`${world.legacyApiUrl}/reset`, { method: 'POST' });
}

/** Changes the behaviour of the stub while it runs. */
export async function configureLegacyApi(world: World, change: object): Promise<void> {
  const body = JSON.stringify(change);
  const answer = await fetch(`${world.legacyApiUrl}/configure`, { method: 'POST', body });
  expect(answer.status, await answer.text()).toBe(200);
}

/** Calls of the legacy API beyond the first of each key. */
export async function repeatedCalls(world: World): Promise<number> {
  return ((await world.legacyApiStatistics()) satisfies LegacyApiStatistics).repeatedCalls;
}

/** What the ledger counts for a step, over its partitions. */
export interface LedgerCounters {
  read: number;
  written: number;
  filtered: number;
  skipped: number;
}

/** The counters that have committed of a step. */
export async function ledgerCounters(stores: Stores, step: string): Promise<LedgerCounters> {
  const { rows } = await stores.migration.query<Record<keyof LedgerCounters, string | null>>(
    `SELECT sum(read) AS read, sum(written) AS written, sum(filtered) AS filtered, sum(skipped) AS skipped
       FROM keystride.checkpoint WHERE step = $1`,
    [step],
  );
  const { read, written, filtered, skipped } = rows[0] ?? {};
  return {
    read: Number(read),
    written: Number(written),
    filtered: Number(filtered),
    skipped: Number(skipped),
  };
}

/** What a completed migration is to look like. */
export interface ExpectedMigration {
  /** Targets, with ticket keys from 1 on. */
  readonly documents: number;
  /** Documents that cannot be migrated: number of the document → `expected_migration_target.code`. */
  readonly expectedFaults?: Readonly<Record<number, number>>;
  /** Documents of a size of their own: number of the document → least bytes. */
  readonly sizes?: Readonly<Record<number, number>>;
  /** The `--sizes` of the stub. */
  readonly usualSizes?: readonly { readonly bytes: number; readonly weight: number }[];
  /** Asserts that exactly the documents of `sizes` are in GridFS. @default true */
  readonly checkContent?: boolean;
}

const stubSizes = [
  { bytes: 512, weight: 80 },
  { bytes: 4 * 1024, weight: 20 },
];

/** Waits for a migration whose workers have changed: it has done each document, and none of its workflow tasks has failed. */
export async function expectGoneOn(
  handle: WorkflowHandle<() => Promise<JobProgress>>,
  stores: Stores,
  documents: number,
): Promise<void> {
  const report = await reportOf(handle);
  expect(report.status).toBe('completed');
  expect(stepOf(report, 'fetchAndStore')).toMatchObject({ read: documents, written: documents });
  await expectMigrated(stores, { documents });
  const { events } = await handle.fetchHistory();
  expect(refusalsIn(events ?? [])).toEqual([]);
}

/**
 * Compares what is stored with what the legacy system says, from its own source and not by the product's own
 * verification: each document once in each store, with the content of the API, and nothing else.
 */
export async function expectMigrated(stores: Stores, expected: ExpectedMigration): Promise<void> {
  const faults = expected.expectedFaults ?? {};
  // Making a source renders all its texts: one is enough for all documents.
  const source = createDocumentSource('keystride', expected.usualSizes ?? stubSizes);
  const { rows } = await stores.migration.query<StoredTarget>(
    `SELECT target.ticket_key, target.migrated, target.preprocess_id, job.id AS job_id, job.sha256, job.sentence_count,
            fault.code
       FROM migration_target AS target
       LEFT JOIN preprocess_job AS job USING (ticket_key)
       LEFT JOIN expected_migration_target AS fault ON fault.migration_target_id = target.id
      ORDER BY target.ticket_key`,
  );
  const stored = Array.from({ length: expected.documents }, (_, index) =>
    storedTarget(source, index + 1, faults[index + 1], expected),
  );
  expect(rows).toEqual(stored);
  await expectNothingElse(
    stores,
    stored.filter(({ code }) => code === null).length,
    Object.keys(faults).length,
  );
  await expectExtracts(
    stores,
    stored.filter(({ code }) => code === null),
  );
}

interface StoredTarget {
  ticket_key: string;
  migrated: boolean;
  preprocess_id: string | null;
  job_id: string | null;
  sha256: string | null;
  sentence_count: number | null;
  code: number | null;
}

function storedTarget(
  source: DocumentSource,
  number: number,
  code: number | undefined,
  expected: ExpectedMigration,
): StoredTarget {
  const key = ticketKey(number);
  if (code !== undefined)
    return {
      ticket_key: key,
      migrated: true,
      preprocess_id: null,
      job_id: null,
      sha256: null,
      sentence_count: null,
      code,
    };
  const sentences = source.sentences(source.plan(key, expected.sizes?.[number]));
  const id = preprocessIdOf(key);
  return {
    ticket_key: key,
    migrated: true,
    preprocess_id: id,
    job_id: id,
    // Not by the code under test.
    sha256: createHash('sha256').update(JSON.stringify(sentences)).digest('hex'),
    sentence_count: sentences.length,
    code: null,
  };
}

async function expectNothingElse(stores: Stores, documents: number, faults: number): Promise<void> {
  const { rows } = await stores.migration.query<{ jobs: string; faults: string }>(
    `SELECT (SELECT count(*) FROM preprocess_job) AS jobs, (SELECT count(*) FROM expected_migration_target) AS faults`,
  );
  expect({ jobs: Number(rows[0]?.jobs), faults: Number(rows[0]?.faults) }).toEqual({
    jobs: documents,
    faults,
  });
  const extracts = await stores.mongo.collection('sentence_extract').countDocuments({});
  expect(extracts, 'documents in MongoDB').toBe(documents);
  const files = await stores.mongo.collection('sentences.files').find({}).project({ _id: 1 }).toArray();
  const owned = await stores.mongo
    .collection('sentence_extract')
    .countDocuments({ fileId: { $exists: true } });
  expect(files.length, 'files in GridFS').toBe(owned);
  expect(await new FileStore(stores.mongo, 'sentences').unfinished(), 'chunks without a file').toEqual([]);
}

async function expectExtracts(stores: Stores, stored: readonly StoredTarget[]): Promise<void> {
  const wanted = new Map(stored.map((target) => [target.preprocess_id ?? '', target]));
  const files = new FileStore(stores.mongo, 'sentences');
  const found = stores.mongo.collection<StoredExtract>('sentence_extract').find({}, { batchSize: 50 });
  for await (const { _id, ticketKey: key, sentences, fileId, sentenceCount, sha256 } of found) {
    const target = wanted.get(_id);
    expect({ key, sentenceCount, sha256 }, `document ${_id}`).toEqual({
      key: target?.ticket_key,
      sentenceCount: target?.sentence_count,
      sha256: target?.sha256,
    });
    const file = fileId === undefined ? undefined : await files.read(fileId);
    const content = file ? await hashOfFile([file]) : hashOfSentences((sentences ?? []) as never);
    expect(content, `content of document ${_id}`).toBe(sha256);
  }
}

interface StoredExtract {
  _id: string;
  ticketKey: string;
  sentences?: readonly unknown[];
  fileId?: string;
  sentenceCount: number;
  sha256: string;
}
