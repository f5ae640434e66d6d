import { randomUUID } from 'node:crypto';
import { DefaultLogger } from '@temporalio/worker';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { failureTypeOf } from '../../packages/keystride/src/contract/errors.ts';
import { noCounters } from '../../packages/keystride/src/contract/progress.ts';
import type { Reader } from '../../packages/keystride/src/contract/reader.ts';
import {
  advanceCheckpoint,
  afterChunk,
  amendCounters,
  type Lease,
  type TakenCheckpoint,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { settlePostponed } from '../../packages/keystride/src/ledger/postponed.ts';
import { completeStep, findStep, recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { findDivisible, splitPartition } from '../../packages/keystride/src/operations/split-partition.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from '../support/stack.ts';

let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;
let runs = 0;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 8);
  ledger = new Ledger(pool);
  await pool.query('CREATE TABLE processed (run text NOT NULL, key int NOT NULL)');
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const context = { cancellationSignal: new AbortController().signal, log: new DefaultLogger('ERROR') };
const step = 'items';
const chunkSize = 2;

/** Whole numbers, cut in the middle. */
const numbers: { readonly reader: Pick<Reader<unknown>, 'split'> } = {
  reader: {
    split: ({ range, after, fewest }) => {
      const last = Number((after ?? range.lower)?.[0] ?? 0);
      const items = Number(range.upper?.[0]) - last;
      if (items < Math.max(2, fewest)) return Promise.resolve(null);
      return Promise.resolve({ at: cursorOf([String(last + Math.ceil(items / 2))]), items });
    },
  },
};

/** Opens a step over the numbers 1 to `items`, in one partition. */
async function opened(items: number): Promise<Claim> {
  const claiming = { job: 'split', workflowId: 'w', runId: 'r', carried: null, parameters: {} };
  const instance = `split:run=${++runs}`;
  const claim = await claimInstance(ledger, { ...claiming, instance, preventRestart: false }, () =>
    Promise.resolve(false),
  );
  const ranges = [{ lower: null, upper: cursorOf([String(items)]) }];
  const opening = { skipLimit: 0, startLimit: undefined, beforeStep: undefined };
  await recordStep(ledger, { claim, step }, { ranges, expected: items }, opening, undefined);
  return claim;
}

function requestOf(claim: Claim, partition: number, into: number, fewest = 2) {
  return { claim, step, parameters: {}, partition, into, fewest };
}

/** A page attempt: it takes the checkpoint when it begins, and commits chunk after chunk of what it has read then. */
class Attempt {
  readonly #taken: TakenCheckpoint;
  #last: number;
  #lease: Lease;

  private constructor(taken: TakenCheckpoint) {
    this.#taken = taken;
    this.#last = Number((taken.cursor ?? taken.range.lower)?.[0] ?? 0);
    this.#lease = taken.lease;
  }

  static async of(claim: Claim, partition: number): Promise<Attempt> {
    return new Attempt(await takeCheckpoint(ledger, { claim, step, partition }, randomUUID()));
  }

  get ended(): boolean {
    return this.#taken.done || this.#last >= Number(this.#taken.range.upper?.[0]);
  }

  /** Commits its next chunk. @returns whether it was let. */
  async commit(): Promise<boolean> {
    const upper = Number(this.#taken.range.upper?.[0]);
    const next = Math.min(upper, this.#last + chunkSize);
    const count = next - this.#last;
    const counters = { ...noCounters, read: count, written: count };
    const advance = { cursor: cursorOf([String(next)]), counters, done: next === upper };
    try {
      await ledger.transaction(async (transaction) => {
        await advanceCheckpoint(transaction, this.#lease, advance);
        const values = [this.#lease.claim.instance, this.#last + 1, next];
        await transaction.query('INSERT INTO processed SELECT $1, generate_series($2::int, $3::int)', values);
      });
    } catch (error) {
      expect(failureTypeOf(error)).toBe('Superseded');
      return false;
    }
    this.#last = next;
    this.#lease = afterChunk(this.#lease);
    return true;
  }
}

async function processed(claim: Claim): Promise<number[]> {
  const { rows } = await pool.query<{ key: number }>(
    'SELECT key FROM processed WHERE run = $1 ORDER BY key',
    [claim.instance],
  );
  return rows.map(({ key }) => key);
}

/** Runs what is left to its end, and completes the step. */
async function finish(claim: Claim): Promise<void> {
  const found = await findStep(ledger, { claim, step });
  for (const { partition } of found?.partitions ?? []) {
    const attempt = await Attempt.of(claim, partition);
    while (!attempt.ended) await attempt.commit();
  }
  expect(await completeStep(ledger, { claim, step })).not.toHaveProperty('unfinished');
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('a page that still lives when its partition is split commits nothing more, and what it had is done by others', async () => {
  const claim = await opened(20);
  const ghost = await Attempt.of(claim, 0);
  expect(await ghost.commit()).toBe(true);
  expect(await splitPartition(ledger, numbers, requestOf(claim, 0, 1), context)).toBe(true);
  expect(await ghost.commit()).toBe(false);
  expect(await processed(claim)).toEqual([1, 2]);
  await finish(claim);
  expect(await processed(claim)).toEqual(upTo(20));
});

test('a split whose answer was lost is not done again', async () => {
  const claim = await opened(20);
  const ask = () => splitPartition(ledger, numbers, requestOf(claim, 0, 1), context);
  expect([await ask(), await ask()]).toEqual([true, true]);
  const { rows } = await pool.query(
    'SELECT partition, lower, upper FROM keystride.checkpoint WHERE instance_key = $1 ORDER BY partition',
    [claim.instance],
  );
  expect(rows).toEqual([
    { partition: 0, lower: null, upper: '["10"]' },
    { partition: 1, lower: '["10"]', upper: '["20"]' },
  ]);
});

test('what has too little left, is done, or cannot be asked stays whole; what has most left comes first', async () => {
  const claim = await opened(20);
  expect(await splitPartition(ledger, numbers, requestOf(claim, 0, 1, 21), context)).toBe(false);
  const failing = { reader: { split: () => Promise.reject(new Error('the source is away')) } };
  const quiet = { ...context, log: new DefaultLogger('ERROR') };
  expect(await splitPartition(ledger, failing, requestOf(claim, 0, 1), quiet)).toBe(false);
  expect(await splitPartition(ledger, { reader: {} }, requestOf(claim, 0, 1), context)).toBe(false);
  expect(await splitPartition(ledger, numbers, requestOf(claim, 0, 1), context)).toBe(true);
  await (await Attempt.of(claim, 0)).commit();
  const among = (fewest: number) => ({ claim, step, parameters: {}, partitions: [0, 1], fewest });
  expect(await findDivisible(ledger, numbers, among(2), context)).toEqual([1, 0]);
  expect(await findDivisible(ledger, numbers, among(9), context)).toEqual([1]);
  expect(await findDivisible(ledger, { reader: {} }, among(2), context)).toEqual([]);
  await finish(claim);
  expect(await findDivisible(ledger, numbers, among(2), context)).toEqual([]);
});

test('a step with a partition that is not done says which, and does not complete', async () => {
  const claim = await opened(8);
  await splitPartition(ledger, numbers, requestOf(claim, 0, 3), context);
  const first = await Attempt.of(claim, 0);
  while (!first.ended) await first.commit();
  expect(await completeStep(ledger, { claim, step })).toMatchObject({ partitionsDone: 1, unfinished: [3] });
  expect(await findStep(ledger, { claim, step })).toMatchObject({ completed: false });
});

test('a step that two complete at once has one set of books, whatever it does last', async () => {
  const claim = await opened(4);
  const key = { claim, step, partition: 0 };
  const only = await Attempt.of(claim, 0);
  while (!only.ended) await only.commit();
  await pool.query('UPDATE keystride.step SET skip_limit = 1 WHERE instance_key = $1', [claim.instance]);
  // As a row that was postponed, and refers to nothing in the end.
  await ledger.transaction((transaction) =>
    amendCounters(transaction, key, { read: 0, written: -1, filtered: 1, skipped: 0 }),
  );
  const skip = { item: {}, key: '4', cursor: cursorOf(['4']), phase: 'write', code: 'NONE' } as const;
  const [begun, ready] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const complete = () =>
    completeStep(ledger, { claim, step }, async (transaction) => {
      await settlePostponed(transaction, key, {
        ...{ written: 0, readUpTo: null },
        skips: [{ ...skip, message: 'nothing is there', attempts: 1 }],
      });
      begun.resolve();
      await ready.promise;
    });
  const first = complete();
  await begun.promise;
  const second = complete();
  await waitFor(
    async () =>
      (
        await pool.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        )
      ).rowCount === 1,
    { what: 'the second to wait' },
  );
  ready.resolve();
  expect(await second).toEqual(await first);
  expect(await first).toMatchObject({ counters: { written: 3, filtered: 0, skipped: 1 } });
});

test('a split of an execution that has lost its instance is fenced', async () => {
  const claim = await opened(20);
  await pool.query('UPDATE keystride.instance SET epoch = 2 WHERE instance_key = $1', [claim.instance]);
  await expect(splitPartition(ledger, numbers, requestOf(claim, 0, 1), context)).rejects.toMatchObject({
    type: 'Fenced',
  });
  const { rowCount } = await pool.query('SELECT FROM keystride.checkpoint WHERE instance_key = $1', [
    claim.instance,
  ]);
  expect(rowCount).toBe(1);
});

/** What happens next: a page attempt begins, one of those that live commits, a partition is split, or both at once. */
const happening = fc.record({
  what: fc.constantFrom('begin', 'commit', 'commit', 'split', 'race', 'splits'),
  which: fc.nat({ max: 20 }),
});

test('whatever pages and splits do at the same time, every item is done once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 40 }),
      fc.array(happening, { minLength: 4, maxLength: 16 }),
      async (items, happenings) => {
        const claim = await opened(items);
        const attempts = [await Attempt.of(claim, 0)];
        let partitions = 1;
        const commit = async (which: number) => {
          const attempt = attempts[which % attempts.length];
          if (attempt && !attempt.ended) await attempt.commit();
        };
        const split = (which: number) =>
          splitPartition(ledger, numbers, requestOf(claim, which % partitions, partitions), context);
        const lost = (error: unknown) => expect(failureTypeOf(error)).toBe('Superseded');
        for (const { what, which } of happenings) {
          if (what === 'begin') attempts.push(await Attempt.of(claim, which % partitions));
          if (what === 'commit') await commit(which);
          if (what === 'split') await split(which);
          if (what === 'race') await Promise.all([commit(which), split(which), commit(which + 1)]);
          // A retry and the attempt that it replaces: one of them may find that the other has it.
          if (what === 'splits') await Promise.all([split(which).catch(lost), split(which).catch(lost)]);
          partitions = (await findStep(ledger, { claim, step }))?.partitions.length ?? 0;
        }
        await finish(claim);
        expect(await processed(claim)).toEqual(upTo(items));
      },
    ),
    { numRuns: 20 },
  );
});
