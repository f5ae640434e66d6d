import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { noCounters } from '../../packages/keystride/src/contract/progress.ts';
import { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import { ChunkSize } from '../../packages/keystride/src/page/chunk-size.ts';
import { chunks, PartialWrite, SkipItem } from '../../packages/keystride/src/job/chunks.ts';
import { type ChunkCommitter, commitChunk } from '../../packages/keystride/src/page/commit-chunk.ts';
import { type Committer, commitOnce, makeDurable } from '../../packages/keystride/src/page/commit-once.ts';
import { Decisions } from '../../packages/keystride/src/page/decisions.ts';
import { Fence } from '../../packages/keystride/src/page/fence.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import {
  advanceCheckpoint,
  type Lease,
  type PartitionKey,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance, closeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { readStepState, recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { Pipeline } from '../../packages/keystride/src/page/pipeline.ts';
import { prepareChunk } from '../../packages/keystride/src/page/prepare-chunk.ts';
import {
  type ConnectionFaultKind,
  DatabaseProxy,
} from '../../packages/keystride/src/prove/database-proxy.ts';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from 'keystride/testing';

// Each rule of a chunk's transaction by itself: where several of them stand behind one another, a whole run does not
// notice when one is gone.
let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 12);
  ledger = new Ledger(pool);
  await pool.query('CREATE TABLE noted (item int NOT NULL)');
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const nobodyIsOpen = () => Promise.resolve(false);
const retry = { retries: 3, initialMs: 5, maximumMs: 20 };
const classify = classifyWith(undefined);
const one = { ...noCounters, read: 1, written: 1 };

function claim(instance: string, runId = 'first', isOpen = nobodyIsOpen): Promise<Claim> {
  const request = { job: 'noted', parameters: {}, carried: null, preventRestart: false };
  return claimInstance(ledger, { ...request, instance, workflowId: `of ${runId}`, runId }, isOpen);
}

/** A step with one partition, held by an attempt called `mine`. */
async function openPartition(instance: string, skipLimit = 0): Promise<PartitionKey> {
  const key = { claim: await claim(instance), step: 'note', partition: 0 };
  const plan = { ranges: [{ lower: null, upper: null }], expected: null };
  await recordStep(ledger, key, plan, { skipLimit, startLimit: undefined, beforeStep: undefined }, undefined);
  await takeCheckpoint(ledger, key, 'mine');
  return key;
}

function lease(key: PartitionKey, seq: number, holder = 'mine'): Lease {
  return { ...key, holder, seq };
}

const added = { cursor: null, counters: one, done: false };

function advance(key: PartitionKey, holder: string, seq: number): Promise<void> {
  return ledger.transaction((transaction) => advanceCheckpoint(transaction, lease(key, seq, holder), added));
}

async function written(key: PartitionKey): Promise<number> {
  return (await readStepState(ledger, key)).counters.written;
}

describe('the compare-and-set moves nothing', () => {
  test('for an execution whose instance was claimed by a later one, though nobody has taken its page', async () => {
    const key = await openPartition('epoch');
    await advance(key, 'mine', 0);
    expect((await claim('epoch', 'second')).epoch).toBe(2);
    await expect(advance(key, 'mine', 1)).rejects.toMatchObject({ type: 'Fenced', nonRetryable: true });
    expect(await written(key)).toBe(1);
  });

  test('for an attempt whose page was taken by a later one of the same execution', async () => {
    const key = await openPartition('holder');
    await takeCheckpoint(ledger, key, 'later');
    await expect(advance(key, 'mine', 0)).rejects.toMatchObject({ type: 'Superseded', nonRetryable: false });
    await advance(key, 'later', 0);
    expect(await written(key)).toBe(1);
  });

  test('for a chunk that has committed already', async () => {
    const key = await openPartition('seq');
    await advance(key, 'mine', 0);
    await expect(advance(key, 'mine', 0)).rejects.toMatchObject({ type: 'Superseded' });
    expect(await written(key)).toBe(1);
  });
});

test.for([
  ['no quote', 'plain'],
  ['a quote', `o'clock`],
  ['two quotes', `''; ROLLBACK; --`],
  ['a backslash', 'back\\slash'],
  ['a backslash and a quote', `\\'; ROLLBACK; --`],
  ['a placeholder', '$1 and $2'],
  ['letters beyond ASCII', 'Ü 한국어 \u{1f600}'],
  ['a line break', 'two\nlines'],
] as const)('the compare-and-set takes %s for what it is', async ([what, text]) => {
  const key = await openPartition(`of ${what}: ${text}`);
  const before = lease(key, 0);
  const cursor = cursorOf([text, text]);
  await ledger.transaction((transaction) => advanceCheckpoint(transaction, before, { ...added, cursor }));
  expect(await takeCheckpoint(ledger, key, text)).toMatchObject({ cursor, lease: { seq: 1, holder: text } });
  await advance(key, text, 1);
  expect(await written(key)).toBe(2);
});

describe('a page that does not wait for the disk', () => {
  test.each([
    ['page', 'off'],
    ['chunk', 'on'],
  ] as const)(
    'durable every %s: its chunks commit with synchronous_commit %s',
    async (durableEvery, setting) => {
      const key = await openPartition(`durable every ${durableEvery}`);
      const committer: Committer = { ledger, policy: { retry, durableEvery }, classify };
      await commitOnce(committer, lease(key, 0), async (transaction) => {
        const { rows } = await transaction.query('SHOW synchronous_commit');
        expect(rows).toEqual([{ synchronous_commit: setting }]);
        await advanceCheckpoint(transaction, lease(key, 0), added);
      });
      await makeDurable(committer, lease(key, 1));
      expect(await written(key)).toBe(1);
    },
  );

  test('answers nothing when the database has come back without its last chunk', async () => {
    const key = await openPartition('came back earlier');
    const committer: Committer = { ledger, policy: { retry }, classify };
    await advance(key, 'mine', 0);
    await expect(makeDurable(committer, lease(key, 2))).rejects.toMatchObject({
      type: 'Superseded',
      nonRetryable: false,
    });
  });
});

describe('a COMMIT without an answer', () => {
  async function commitThrough(kind: ConnectionFaultKind, item: number) {
    const key = await openPartition(kind);
    const proxy = await DatabaseProxy.start(database.url, [{ kind, at: 1 }]);
    const through = createPool(proxy.urlOf(database.url), 'keystride test', 2);
    const committer: Committer = { ledger: new Ledger(through), policy: { retry }, classify };
    try {
      await commitOnce(committer, lease(key, 0), async (transaction) => {
        await advanceCheckpoint(transaction, lease(key, 0), added);
        await transaction.query('INSERT INTO noted VALUES ($1)', [item]);
      });
      return 'committed';
    } catch (error) {
      return classify(error).decision;
    } finally {
      await through.end();
      await proxy.stop();
    }
  }

  const rowsOf = async (item: number) =>
    (await pool.query('SELECT FROM noted WHERE item = $1', [item])).rowCount;

  test('that never arrived is done again', async () => {
    expect([await commitThrough('commitLost', -1), await rowsOf(-1)]).toEqual(['retry', 0]);
  });

  test('that was done is not', async () => {
    expect([await commitThrough('commitReplyLost', -2), await rowsOf(-2)]).toEqual(['committed', 1]);
  });
});

describe('a claim', () => {
  test('of an instance that has failed is won by one of ten that start at once', async () => {
    await closeInstance(ledger, await claim('ten'), 'failed');
    // They all read that it has failed before the first of them can take it.
    const { starts } = await ledger.transaction(async (transaction) => {
      await transaction.query(`SELECT FROM keystride.instance WHERE instance_key = 'ten' FOR UPDATE`);
      const started = Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => claim('ten', `start ${index}`, () => Promise.resolve(true))),
      );
      await waitFor(async () => {
        const { rows } = await pool.query<{ waiting: string }>(
          `SELECT count(*) AS waiting FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return Number(rows[0]?.waiting) === 10;
      });
      return { starts: started };
    });
    const settled = await starts;
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const start of settled)
      if (start.status === 'rejected')
        expect(start.reason).toMatchObject({ type: 'JobExecutionAlreadyRunning' });
  });

  test('that is asked for again by the same run is the same', async () => {
    expect([await claim('again'), await claim('again')].map(({ epoch }) => epoch)).toEqual([1, 1]);
    const later = [await claim('again', 'second'), await claim('again', 'second')];
    expect(later.map(({ epoch }) => epoch)).toEqual([2, 2]);
  });

  test('that was carried into a continued run is refused when a later execution has the instance', async () => {
    const carried = await claim('carried');
    await claim('carried', 'second');
    const request = { job: 'noted', instance: 'carried', parameters: {}, preventRestart: false };
    const continued = { ...request, workflowId: 'of first', runId: 'continued', carried };
    await expect(claimInstance(ledger, continued, nobodyIsOpen)).rejects.toMatchObject({ type: 'Fenced' });
  });
});

/** Runs items through the pipeline into the ledger, as a page does. */
async function runPage(key: PartitionKey, items: number, chunkSize: number, work: ChunkCommitter['work']) {
  const abort = new AbortController();
  const policy = { chunkSize, concurrency: 8, pageSeconds: 60, retry, skipLimit: 10 };
  const size = new ChunkSize(chunkSize, undefined, new Decisions(0));
  const committer: ChunkCommitter = { ledger, policy, work, classify, chunkSize: size };
  const fence = new Fence(ledger, { epoch: 1, fence: 1 }, () => Promise.resolve());
  let seq = 0;
  const pipeline = new Pipeline({
    ...{ work, policy, range: { lower: null, upper: null }, after: null },
    processing: {
      ...{ processor: work.processor, classify, retry, signal: abort.signal },
      budget: new ByteBudget(items * 1_000),
    },
    prepare: (chunk) => prepareChunk({ ...committer, fence }, chunk),
    commit: async (chunk) => void (await commitChunk(committer, lease(key, seq++), chunk)),
    abort: () => abort.abort(),
  });
  expect(await pipeline.run()).toBe(true);
}

test('5 poison rows among 10,000: all others written once, found by halves, and no item processed twice', async () => {
  const key = await openPartition('poison', 10);
  const poison = new Set([17, 3_000, 3_001, 7_777, 9_999]);
  let processed = 0;
  let statements = 0;
  const work = chunks<number, number>({
    reader: listReader(10_000, (index) => index),
    processor: (item) => (processed++, item),
    writer: {
      write: async (items, transaction) => {
        statements++;
        await transaction.query('INSERT INTO noted SELECT unnest($1::int[])', [items]);
        if (items.some((item) => poison.has(item))) throw new SkipItem('POISON', 'cannot be written');
      },
    },
  });
  await runPage(key, 10_000, 1_000, work);
  const { rows } = await pool.query<{ rows: string; items: string }>(
    'SELECT count(*) AS rows, count(DISTINCT item) AS items FROM noted WHERE item >= 0',
  );
  expect(rows).toEqual([{ rows: '9995', items: '9995' }]);
  expect(processed).toBe(10_000);
  const counters = { read: 10_000, written: 9_995, skipped: 5, filtered: 0 };
  expect((await readStepState(ledger, key)).counters).toMatchObject(counters);
  // Each chunk once; where there is poison once more in halves, two a level for each.
  expect(statements).toBeLessThanOrEqual(10 + 5 * (1 + 2 * Math.ceil(Math.log2(1_000))));
});

test('a writer that knows which items failed is given those again, and no other', async () => {
  const key = await openPartition('partial', 10);
  const given: (readonly number[])[] = [];
  const work = chunks<number, number>({
    reader: listReader(6, (index) => index),
    processor: (item) => item,
    writer: {
      prepare: (items) => {
        given.push(items);
        const busy = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
        const failed = new Map<number, Error>();
        for (const [place, item] of items.entries()) {
          if (item === 1) failed.set(place, new SkipItem('REFUSED', 'is refused'));
          if (item === 4 && given.length < 3) failed.set(place, busy);
        }
        return failed.size > 0 ? Promise.reject(new PartialWrite(failed)) : Promise.resolve();
      },
      write: () => Promise.resolve(),
    },
  });
  await runPage(key, 6, 6, work);
  expect(given).toEqual([[0, 1, 2, 3, 4, 5], [4], [4]]);
  expect((await readStepState(ledger, key)).counters).toMatchObject({ read: 6, written: 5, skipped: 1 });
});

test('a chunk that is too much for one statement is written by halves; its poison is found all the same', async () => {
  const key = await openPartition('too much', 10);
  const given: number[] = [];
  const work = chunks<number, number>({
    reader: listReader(96, (index) => 20_000 + index),
    processor: (item) => item,
    writer: {
      write: async (items, transaction) => {
        given.push(items.length);
        await transaction.query('SET LOCAL statement_timeout = 500');
        await transaction.query('INSERT INTO noted SELECT unnest($1::int[])', [items]);
        if (items.length > 25) await transaction.query('SELECT pg_sleep(60)');
        if (items.includes(20_050)) throw new SkipItem('POISON', 'cannot be written');
      },
    },
  });
  await runPage(key, 96, 64, work);
  const { rows } = await pool.query<{ rows: string; items: string }>(
    'SELECT count(*) AS rows, count(DISTINCT item) AS items FROM noted WHERE item >= 20000',
  );
  expect(rows).toEqual([{ rows: '95', items: '95' }]);
  expect((await readStepState(ledger, key)).counters).toMatchObject({ read: 96, written: 95, skipped: 1 });
  // What was found out holds for the chunks behind: nothing runs into the time-out again.
  expect(given.filter((items) => items > 25)).toEqual([64, 32]);
});
