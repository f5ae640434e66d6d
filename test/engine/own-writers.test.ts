import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import type { Counters } from '../../packages/keystride/src/contract/progress.ts';
import { type AnyChunkWork, chunks, PartialWrite } from '../../packages/keystride/src/job/chunks.ts';
import { takeCheckpoint } from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { readStepState, recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import { ChunkSize } from '../../packages/keystride/src/page/chunk-size.ts';
import { commitChunk } from '../../packages/keystride/src/page/commit-chunk.ts';
import { Decisions } from '../../packages/keystride/src/page/decisions.ts';
import { Fence } from '../../packages/keystride/src/page/fence.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import { Pipeline } from '../../packages/keystride/src/page/pipeline.ts';
import { prepareChunk } from '../../packages/keystride/src/page/prepare-chunk.ts';
import { requireCount } from '../../packages/keystride/src/page/ranges.ts';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import {
  awaited,
  inTransaction,
  type Transaction,
} from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

// Processors and writers that people write, in TypeScript or not, over ten numbers: nothing that they answer, or do to what
// they are given, loses an item without a word.
let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;
let runs = 0;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 8);
  ledger = new Ledger(pool);
  await pool.query('CREATE TABLE noted (run int NOT NULL, item int NOT NULL CHECK (item <> 3))');
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const retry = { retries: 2, initialMs: 1, maximumMs: 2 };
const policy = { chunkSize: 5, concurrency: 2, pageSeconds: 60, retry, skipLimit: 2 };
const numbers = Array.from({ length: 10 }, (_, index) => index);

interface Own {
  readonly processor?: (item: number) => unknown;
  readonly write?: (items: number[], transaction: Transaction, call: number) => unknown;
  readonly prepare?: (items: number[], call: number) => unknown;
  readonly onSkip?: AnyChunkWork['onSkip'];
  readonly skip?: readonly string[];
}

interface Outcome {
  readonly items: readonly number[];
  readonly counters: Counters;
  readonly skips: readonly string[];
}

const insert = (run: number, items: readonly unknown[], transaction: Transaction) =>
  transaction.query('INSERT INTO noted SELECT $1, unnest($2::int[])', [run, items.map(String)]);

/** Does as a page activity does, and tells what has committed. */
async function over({
  processor = (item) => item,
  write,
  prepare,
  onSkip,
  skip = [],
}: Own): Promise<Outcome> {
  const run = ++runs;
  const request = { job: 'own', parameters: {}, carried: null, preventRestart: false };
  const claim: Claim = await claimInstance(
    ledger,
    { ...request, instance: `own ${run}`, workflowId: `own ${run}`, runId: 'first' },
    () => Promise.resolve(false),
  );
  const key = { claim, step: 'note', partition: 0 };
  const opening = { skipLimit: policy.skipLimit, startLimit: undefined, beforeStep: undefined };
  await recordStep(
    ledger,
    key,
    { ranges: [{ lower: null, upper: null }], expected: null },
    opening,
    undefined,
  );
  await takeCheckpoint(ledger, key, 'mine');
  let writes = 0;
  let prepares = 0;
  const work = chunks<number, number>({
    reader: listReader(10, (index) => index),
    processor: (item) => processor(item) as number,
    writer: {
      ...(prepare ? { prepare: async (items) => void (await prepare(items as number[], ++prepares)) } : {}),
      write: async (items, transaction) => {
        const given = [...items];
        const answer = await write?.(items as number[], transaction, ++writes);
        if (!write) await insert(run, given, transaction);
        return answer as number;
      },
    },
    ...(onSkip ? { onSkip } : {}),
  });
  const classify = classifyWith(undefined, { skip: { codes: skip } });
  const committer = {
    ledger,
    policy,
    work,
    classify,
    chunkSize: new ChunkSize(5, undefined, new Decisions(0)),
  };
  const fence = new Fence(ledger, { epoch: 1, fence: 1 }, () => Promise.resolve());
  let seq = 0;
  const abort = new AbortController();
  const pipeline = new Pipeline({
    ...{ work, policy, range: { lower: null, upper: null }, after: null },
    processing: {
      ...{ processor: work.processor, classify, retry, signal: abort.signal },
      budget: new ByteBudget(10_000),
    },
    prepare: (chunk) => prepareChunk({ ...committer, fence }, chunk),
    commit: async (chunk) =>
      void (await commitChunk(committer, { ...key, holder: 'mine', seq: seq++ }, chunk)),
    abort: () => abort.abort(),
  });
  await pipeline.run();
  const noted = await pool.query<{ item: number }>('SELECT item FROM noted WHERE run = $1 ORDER BY item', [
    run,
  ]);
  const skipped = await pool.query<{ item_key: string }>(
    'SELECT item_key FROM keystride.skip WHERE instance_key = $1 ORDER BY 1',
    [claim.instance],
  );
  return {
    items: noted.rows.map(({ item }) => item),
    counters: (await readStepState(ledger, key)).counters,
    skips: skipped.rows.map(({ item_key }) => item_key),
  };
}

const none = () => 0;
const allButThree = numbers.filter((item) => item !== 3);

describe('an item is lost by nothing that is done to a list', () => {
  const spoilt: readonly [string, (items: number[]) => unknown][] = [
    ['empties', (items) => (items.length = 0)],
    ['shortens', (items) => items.splice(1)],
    ['turns round', (items) => items.unshift(...items.splice(1))],
    ['lengthens', (items) => items.push(7)],
  ];
  test.for(spoilt)(
    'a writer that %s what it was given, and fails, is given all of it again',
    async ([, spoil]) => {
      const seen: number[][] = [];
      const outcome = await over({
        skip: ['SQLSTATE_23'],
        write: async (items, transaction, call) => {
          const given = [...items];
          seen.push(given);
          spoil(items);
          if (call === 1) throw Object.assign(new Error('deadlock'), { code: 'ECONNRESET' });
          await insert(runs, given, transaction);
        },
      });
      expect(seen[1]).toEqual(seen[0]);
      expect(outcome.items).toEqual(allButThree);
      // The one at fault is set aside, and no other.
      expect(outcome.skips).toEqual(['3']);
      expect(outcome.counters).toMatchObject({ read: 10, written: 9, skipped: 1 });
    },
  );

  test.for(spoilt)('nor by a `prepare` that %s it', async ([, spoil]) => {
    const outcome = await over({ processor: (item) => (item === 3 ? null : item), prepare: spoil });
    expect(outcome.items).toEqual(allButThree);
  });

  test('nor by an `onSkip` that empties the list of skips', async () => {
    const outcome = await over({
      skip: ['SQLSTATE_23'],
      onSkip: (skips) => Promise.resolve(void ((skips as unknown[]).length = 0)),
    });
    expect(outcome.counters).toMatchObject({ read: 10, written: 9, skipped: 1 });
  });
});

describe('a processor', () => {
  test.for<[string, unknown]>([
    ['returns nothing', undefined],
    ['returns an error', new Error('of the item')],
    ['promises nothing', Promise.resolve()],
  ])('that %s is refused', async ([, answer]) => {
    const refused = over({ processor: (item) => (item === 2 ? answer : null) });
    await expect(refused).rejects.toMatchObject({
      key: '2',
      phase: 'process',
      found: { code: 'UnusableAnswer' },
    });
  });

  test('that returns what `await` takes for a promise is waited for', async () => {
    // As the builders of queries do.
    const query = (item: number): unknown =>
      Object.fromEntries([
        [['th', 'en'].join(''), (answer: (value: unknown) => void) => answer(item === 3 ? null : item)],
      ]);
    const outcome = await over({ processor: query });
    expect(outcome.items).toEqual(allButThree);
    expect(outcome.counters).toMatchObject({ written: 9, filtered: 1 });
  });
});

describe('a writer is refused', () => {
  test.for<[string, unknown, string]>([
    ['that has written more than there was', 6, '6'],
    ['that has written less than nothing', -1, '-1'],
    ['that has written half an item', 0.5, '0.5'],
    ['whose count is none', Number.NaN, 'NaN'],
    ['whose count is a text', '5', 'a text'],
    ['whose count is null', null, 'null'],
    ['that returns rows', [{ secret: 'of a row' }], 'a list'],
    ['that returns the result of a query', { rowCount: 5 }, 'an object'],
  ])('%s', async ([, answer, told]) => {
    await expect(over({ write: () => answer })).rejects.toMatchObject({
      type: 'BooksDoNotBalance',
      message: expect.stringContaining(`it has written ${told} of the 5 items`),
    });
  });

  test.for<[string, unknown]>([
    ['none', new Map()],
    ['one that is not there', new Map([[5, new Error('no')]])],
    ['one below zero', new Map([[-1, new Error('no')]])],
    ['one by its key', new Map([['0', new Error('no')]])],
    ['a list', [new Error('no')]],
  ])('that says of items that they failed, but names %s', async ([, failed]) => {
    const prepare = () => {
      throw new PartialWrite(failed as ReadonlyMap<number, unknown>);
    };
    await expect(over({ prepare })).rejects.toMatchObject({
      message: expect.stringContaining('PartialWrite'),
    });
  });

  test('that has not awaited its statement', async () => {
    const write = (items: number[], transaction: Transaction) =>
      void insert(runs, items, transaction).catch(() => undefined);
    await expect(over({ write })).rejects.toMatchObject({
      message: expect.stringContaining('the writer has returned before a statement'),
    });
    expect((await pool.query('SELECT FROM noted WHERE run = $1', [runs])).rowCount).toBe(0);
  });
});

test('a statement that comes after its transaction is not run', async () => {
  let late: Transaction | undefined;
  await inTransaction(pool, async (transaction) => void (late = transaction));
  await expect(insert(0, [1], late as Transaction)).rejects.toMatchObject({ name: 'TransactionEnded' });
  await expect(late?.query('SELECT 1')).rejects.toMatchObject({ name: 'TransactionEnded' });
});

test('a statement that fails and is not awaited fails its transaction, and not the process', async () => {
  const body = (transaction: Transaction) =>
    awaited(transaction, 'the tasklet', () => Promise.resolve(void transaction.query('SELECT 1 / 0')));
  await expect(inTransaction(pool, body)).rejects.toMatchObject({ name: 'UnusableAnswer' });
});

test.for([undefined, null, '5', Number.NaN, -1, 0.5, 5n, [5]])(
  'a set step has not written %s rows',
  (written) => {
    expect(() => requireCount(written)).toThrow(/the set step says that it has written/u);
    expect(requireCount(none())).toBe(0);
  },
);
