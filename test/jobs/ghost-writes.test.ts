import fc from 'fast-check';
import { type Db, MongoClient } from 'mongodb';
import type pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  documentOf,
  hashOfFile,
  type MigratedDocument,
} from '../../src/activities/document-migration/document.ts';
import {
  extractsOf,
  filesOf,
  recordMigrated,
  storeExtracts,
} from '../../src/activities/document-migration/store.ts';
import { compareDocuments } from '../../src/activities/document-migration/verify.ts';
import type { Resources } from '../../src/resources.ts';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import type { Difference } from '../../packages/keystride/src/contract/verification.ts';
import { ChunkSize } from '../../packages/keystride/src/page/chunk-size.ts';
import type { Chunk } from '../../packages/keystride/src/page/chunk.ts';
import { chunks } from '../../packages/keystride/src/job/chunks.ts';
import { commitChunk } from '../../packages/keystride/src/page/commit-chunk.ts';
import { Decisions } from '../../packages/keystride/src/page/decisions.ts';
import { Fence } from '../../packages/keystride/src/page/fence.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import {
  holdCheckpoint,
  type PartitionKey,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance, closeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { claimRepair, shutOutAttempts } from '../../packages/keystride/src/ledger/repair-claim.ts';
import { recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { prepareChunk, tidyUp } from '../../packages/keystride/src/page/prepare-chunk.ts';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
import { createMongoClient } from '../../packages/keystride/src/stores/mongo/client.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from 'keystride/testing';
import { Way } from '../support/way.ts';

// Attempts at the same two documents, of one execution and of several, that die or fall asleep anywhere on their way
// and wake up when others have gone on, also after a repair: real ledger, real store, a way of his own for each.

let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;
let client: MongoClient;
let mongo: Db;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 20);
  ledger = new Ledger(pool);
  client = createMongoClient(inject('keystride').mongodbUrl ?? '');
  mongo = client.db(`keystride_test_ghosts_${process.pid}`);
});

afterAll(async () => {
  await mongo?.dropDatabase();
  await client?.close();
  await pool?.end();
  await database?.drop();
});

/** Bytes above which a document goes to a file, here. */
const largest = 2_000;
const job = 'documentMigration';
const instance = `${job}:run=1`;
const classify = classifyWith(undefined);
const policy = { retry: { retries: 0, initialMs: 5, maximumMs: 20 }, skipLimit: 0 };

/** What becomes of an attempt: where it is met, and how long it sleeps, in attempts; for ever when it dies. */
interface Fate {
  /** A message to MongoDB, by its number; 0 when all is prepared, and nothing has committed. */
  readonly at: number;
  readonly sleeps: number | 'dies';
}

interface Script {
  readonly large: readonly [boolean, boolean];
  /** Claims the instance anew, as a run that is started again. */
  readonly claims: boolean;
  readonly fate: Fate | undefined;
}

const scripts = fc.array(
  fc.record<Script>({
    large: fc.tuple(fc.boolean(), fc.boolean()),
    claims: fc.boolean(),
    fate: fc.option(
      fc.record<Fate>({
        at: fc.nat({ max: 22 }),
        sleeps: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant('dies' as const)),
      }),
      { nil: undefined, freq: 6 },
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

function documentsOf(number: number, large: Script['large']): MigratedDocument[] {
  return large.map((isLarge, index) => {
    const target = { id: String(index + 1), ticket_key: `T-${index + 1}` };
    const text = `attempt ${number} `.repeat(isLarge ? 300 : 3);
    const body = JSON.stringify({ ticketKey: target.ticket_key, sentences: [{ no: 1, text }] });
    return documentOf(target, Buffer.from(body), largest);
  });
}

class Attempt {
  readonly #way: Way;
  #client: MongoClient | undefined;
  #prepared = false;
  #goOn: (() => void) | undefined;
  /** Rejects or resolves when it has ended, whichever. */
  ended: Promise<unknown> = Promise.resolve();
  committed = false;

  constructor() {
    const url = new URL(inject('keystride').mongodbUrl ?? '');
    this.#way = new Way(url.hostname, Number(url.port));
  }

  async begin(key: PartitionKey, number: number, { large, fate }: Script): Promise<void> {
    const port = await this.#way.open();
    // Against a server that holds everything up it must not wait for ever.
    this.#client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
      serverSelectionTimeoutMS: 2_000,
      ignoreUndefined: true,
    });
    if (fate && fate.at > 0)
      this.#way.onMessage = (at) => (at < fate.at ? 'passes' : fate.sleeps === 'dies' ? 'is cut' : 'waits');
    let over = false;
    this.ended = this.#run(key, number, large, fate).catch((error: unknown) => error);
    void this.ended.then(() => (over = true));
    await waitFor(() => over || this.asleep, { what: 'an attempt to end or fall asleep', everyMs: 2 });
  }

  get asleep(): boolean {
    return this.#way.holds || (this.#prepared && this.#goOn !== undefined);
  }

  async wake(): Promise<void> {
    this.#way.release();
    this.#goOn?.();
    this.#goOn = undefined;
    await this.ended;
    await this.#client?.close();
    this.#way.close();
  }

  async #run(key: PartitionKey, number: number, large: Script['large'], fate: Fate | undefined) {
    const taken = await takeCheckpoint(ledger, key, `attempt ${number}`);
    if (taken.done) return;
    const store = this.#client?.db(mongo.databaseName) as Db;
    const work = chunks<MigratedDocument, MigratedDocument>({
      reader: listReader(2, () => documentsOf(number, large)[0] as MigratedDocument),
      processor: (document) => document,
      writer: {
        prepare: (documents, attempt) => storeExtracts(store, documents, attempt),
        write: recordMigrated,
      },
    });
    const token = { epoch: key.claim.epoch, fence: taken.fence };
    const fence = new Fence(ledger, token, (transaction) => holdCheckpoint(transaction, taken.lease));
    const chunkSize = new ChunkSize(2, undefined, new Decisions(0));
    const committer = { ledger, policy, work, classify, chunkSize };
    const ready = await prepareChunk({ ...committer, fence }, chunkWith(documentsOf(number, large)));
    this.#prepared = true;
    if (fate?.at === 0) {
      if (fate.sleeps === 'dies') return;
      await new Promise<void>((resolve) => (this.#goOn = resolve));
    }
    await commitChunk(committer, taken.lease, ready);
    this.committed = true;
    await tidyUp(ready);
  }
}

function chunkWith(outputs: readonly MigratedDocument[]): Chunk {
  const cursor = cursorOf(['2']);
  return { outputs, sources: () => [], skips: [], filtered: 0, first: cursorOf(['1']), cursor, last: true };
}

let claims = 0;

function claim(): Promise<Claim> {
  const runId = `run ${++claims}`;
  const request = {
    job,
    instance,
    parameters: {},
    carried: null,
    preventRestart: false,
    workflowId: instance,
    runId,
  };
  return claimInstance(ledger, request, () => Promise.resolve(false));
}

async function begin(): Promise<PartitionKey> {
  await pool.query(
    `TRUNCATE migration_target, preprocess_job, expected_migration_target, keystride.instance RESTART IDENTITY CASCADE`,
  );
  await pool.query(`INSERT INTO migration_target (ticket_key) VALUES ('T-1'), ('T-2')`);
  for (const name of ['sentence_extract', 'sentences.files', 'sentences.chunks'])
    await mongo.collection(name).deleteMany({});
  const key = { claim: await claim(), step: 'fetchAndStore', partition: 0 };
  const plan = { ranges: [{ lower: null, upper: null }], expected: null };
  await recordStep(
    ledger,
    key,
    plan,
    { skipLimit: 0, startLimit: undefined, beforeStep: undefined },
    undefined,
  );
  return key;
}

/** What committed in PostgreSQL is what is stored, its file with it. */
async function expectCommitted(): Promise<void> {
  const { rows } = await pool.query<{ id: string; sha256: string }>('SELECT id, sha256 FROM preprocess_job');
  expect(rows).toHaveLength(2);
  for (const { id, sha256 } of rows) {
    const extract = await extractsOf(mongo).findOne({ _id: id });
    expect(extract?.sha256, 'the document is the one that committed').toBe(sha256);
    if (extract?.fileId === undefined) continue;
    const file = await filesOf(mongo).read(extract.fileId);
    expect(file && (await hashOfFile([file])), `the file ${extract.fileId}`).toBe(sha256);
  }
}

async function differences(): Promise<Difference[]> {
  const { comparePage } = compareDocuments(resources());
  const found: Difference[] = [];
  let position: unknown = null;
  do {
    const page = await comparePage(position, 100, new AbortController().signal);
    found.push(...page.differences);
    position = page.position;
  } while (position !== null);
  return found;
}

function resources(): Resources {
  return { database: pool, mongo } as unknown as Resources;
}

/** As `verify --repair` does it; nothing but leftovers may have to be repaired. */
async function repair(): Promise<void> {
  const found = await differences();
  expect(found.filter(({ leftover }) => !leftover)).toEqual([]);
  const { fence } = await claimRepair(ledger, instance);
  await shutOutAttempts(ledger, job);
  await compareDocuments(resources()).repair?.clear?.(
    found.flatMap(({ remove }) => (remove ? [remove] : [])),
    fence,
  );
  expect(await differences()).toEqual([]);
}

async function play(script: readonly Script[]): Promise<void> {
  let key = await begin();
  const sleeping: { readonly attempt: Attempt; readonly until: number }[] = [];
  const wakeDue = async (now: number) => {
    for (const { attempt } of sleeping.filter(({ until }) => until <= now)) await attempt.wake();
    sleeping.splice(0, sleeping.length, ...sleeping.filter(({ until }) => until > now));
  };
  const live: Script = { large: [script.length % 2 === 0, true], claims: false, fate: undefined };
  for (const [number, one] of [...script, live].entries()) {
    if (one.claims) key = { ...key, claim: await claim() };
    const attempt = new Attempt();
    await attempt.begin(key, number, one);
    if (!attempt.asleep) await attempt.wake();
    else
      sleeping.push({ attempt, until: number + (one.fate?.sleeps === 'dies' ? 0 : (one.fate?.sleeps ?? 0)) });
    await wakeDue(number);
  }
  await expectCommitted();
  await closeInstance(ledger, key.claim, 'completed');
  await repair();
  await wakeDue(Number.POSITIVE_INFINITY);
  await expectCommitted();
  await repair();
}

test('whatever attempts die or sleep, and wherever: what committed is stored with its file, and nothing else after a repair', async () => {
  await fc.assert(fc.asyncProperty(scripts, play), { numRuns: 40, endOnFailure: false });
}, 300_000);

/** Attempts of one execution, and what they want done after their commits. */
function attempts() {
  const committed: (() => Promise<void>)[] = [];
  const afterCommit = (work: () => Promise<void>) => void committed.push(work);
  return { committed, as: (fence: number) => ({ epoch: 1, fence, afterCommit }) };
}

test('the file of a document that is replaced stays until the commit, and goes with it', async () => {
  await begin();
  const once = documentsOf(1, [true, true]);
  const { committed, as } = attempts();
  await storeExtracts(mongo, once, as(1));
  const first = await filesOf(mongo).idsAbove('', 10);
  expect([first.length, committed.length]).toEqual([2, 0]);
  // One stays large, the other needs no file any more.
  await storeExtracts(mongo, documentsOf(2, [true, false]), as(2));
  expect(await filesOf(mongo).idsAbove('', 10)).toEqual(expect.arrayContaining(first));
  for (const work of committed) await work();
  const left = await filesOf(mongo).idsAbove('', 10);
  expect(left).toEqual((await extractsOf(mongo).find({}).toArray()).flatMap(({ fileId }) => fileId ?? []));
  expect(await filesOf(mongo).unfinished()).toEqual([]);
});

test('a ghost that finds its document written by a later attempt takes its own file away', async () => {
  await begin();
  const { committed, as } = attempts();
  await storeExtracts(mongo, documentsOf(2, [true, true]), as(2));
  const live = await filesOf(mongo).idsAbove('', 10);
  await expect(storeExtracts(mongo, documentsOf(1, [true, false]), as(1))).rejects.toThrow('later attempt');
  expect(await filesOf(mongo).idsAbove('', 10)).toEqual(live);
  expect(committed).toEqual([]);
});
