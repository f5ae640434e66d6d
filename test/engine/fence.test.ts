import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import { OvertakenWrite } from '../../packages/keystride/src/contract/write-attempt.ts';
import type { Chunk } from '../../packages/keystride/src/page/chunk.ts';
import { chunks } from '../../packages/keystride/src/job/chunks.ts';
import { Fence } from '../../packages/keystride/src/page/fence.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import {
  holdCheckpoint,
  type PartitionKey,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance, closeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { nextFence } from '../../packages/keystride/src/ledger/fence.ts';
import {
  claimRepair,
  holdRepair,
  shutOutAttempts,
} from '../../packages/keystride/src/ledger/repair-claim.ts';
import { recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { prepareChunk } from '../../packages/keystride/src/page/prepare-chunk.ts';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 20);
  ledger = new Ledger(pool);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

function claim(instance: string, runId = 'first'): Promise<Claim> {
  const request = { job: 'noted', parameters: {}, carried: null, preventRestart: false };
  return claimInstance(ledger, { ...request, instance, workflowId: `of ${runId}`, runId }, () =>
    Promise.resolve(false),
  );
}

async function openPartition(instance: string): Promise<PartitionKey> {
  const key = { claim: await claim(instance), step: 'note', partition: 0 };
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

async function attempt(key: PartitionKey, holder: string): Promise<Fence> {
  const { fence, lease } = await takeCheckpoint(ledger, key, holder);
  const token = { epoch: key.claim.epoch, fence };
  return new Fence(ledger, token, (transaction) => holdCheckpoint(transaction, lease));
}

/** Has a chunk of one item prepared by a writer. */
function prepare(
  fence: Fence,
  prepareItem: (fence: number, attempt: number) => Promise<void>,
): Promise<Chunk> {
  let tries = 0;
  const work = chunks<number, number>({
    reader: listReader(1, (index) => index),
    processor: (item) => item,
    writer: {
      prepare: (_, { fence: present }) => prepareItem(present, ++tries),
      write: () => Promise.resolve(),
    },
  });
  const retry = { retries: 2, initialMs: 1, maximumMs: 2 };
  const classify = classifyWith([
    (error) =>
      error instanceof Error && error.message === 'passing'
        ? { decision: 'retry', code: 'PASSING', exhausted: 'fail' }
        : undefined,
  ]);
  const chunk = {
    outputs: [1],
    sources: () => [],
    skips: [],
    filtered: 0,
    first: null,
    cursor: null,
    last: true,
  };
  return prepareChunk({ work, classify, policy: { retry }, fence }, chunk);
}

test('no two attempts have the same fence, and the one that holds a page has the highest of it', async () => {
  const keys = await Promise.all(['a', 'b', 'c'].map((name) => openPartition(`rising ${name}`)));
  const taken = await Promise.all(
    Array.from({ length: 30 }, (_, index) => {
      const key = keys[index % 3] as PartitionKey;
      return takeCheckpoint(ledger, key, `holder ${index}`).then(({ fence }) => ({ key, index, fence }));
    }),
  );
  expect(new Set(taken.map(({ fence }) => fence)).size).toBe(30);
  for (const key of keys) {
    const of = taken.filter((one) => one.key === key).toSorted((a, b) => a.fence - b.fence);
    const { rows } = await pool.query<{ holder: string }>(
      'SELECT holder FROM keystride.checkpoint WHERE instance_key = $1',
      [key.claim.instance],
    );
    expect(rows[0]?.holder).toBe(`holder ${of.at(-1)?.index}`);
  }
});

test('a ledger that has forgotten its fences goes on above them, and above what is met in a store', async () => {
  const key = await openPartition('forgetful');
  const { token } = await attempt(key, 'before');
  await pool.query('TRUNCATE keystride.fence');
  expect((await attempt(key, 'after')).token.fence).toBeGreaterThan(token.fence);
  const met = token.fence + 1e12;
  expect(await ledger.transaction((transaction) => nextFence(transaction, met))).toBeGreaterThan(met);
  await pool.query('TRUNCATE keystride.fence');
});

test('a clock that goes back takes no fence back', async () => {
  const key = await openPartition('clock');
  await pool.query(
    'INSERT INTO keystride.fence (last) VALUES (9e12) ON CONFLICT (one) DO UPDATE SET last = 9e12',
  );
  const [first, second] = [await attempt(key, 'first'), await attempt(key, 'second')];
  expect([first.token.fence, second.token.fence]).toEqual([9e12 + 1, 9e12 + 2]);
  await pool.query('TRUNCATE keystride.fence');
});

test('what is tried again is written under a higher fence: the first try may still be on its way', async () => {
  const fences: number[] = [];
  await prepare(await attempt(await openPartition('again'), 'mine'), (fence, tries) => {
    fences.push(fence);
    return tries < 3 ? Promise.reject(new Error('passing')) : Promise.resolve();
  });
  expect(fences).toHaveLength(3);
  expect(fences).toEqual([...new Set(fences)].toSorted((a, b) => a - b));
});

test('an attempt that holds its page goes above what it meets, using up no retry', async () => {
  const met = Date.now() + 1e9;
  const fences: number[] = [];
  await prepare(await attempt(await openPartition('above'), 'mine'), (fence, tries) => {
    fences.push(fence);
    return tries < 5 ? Promise.reject(new OvertakenWrite(met + tries)) : Promise.resolve();
  });
  expect(fences).toHaveLength(5);
  expect(fences.at(-1)).toBeGreaterThan(met + 4);
  await pool.query('TRUNCATE keystride.fence');
});

test.for([
  [
    'Superseded',
    'a later attempt of the same execution',
    (key: PartitionKey) => takeCheckpoint(ledger, key, 'later'),
  ],
  ['Fenced', 'a later execution', (key: PartitionKey) => claim(key.claim.instance, 'second')],
  ['Superseded', 'a repair', repairOf],
  ['Superseded', 'the repair of another instance of the job', () => shutOutAttempts(ledger, 'noted')],
] as const)('an attempt is %s by %s, and counts nothing as written', async ([type, by, overtake]) => {
  const key = await openPartition(`overtaken by ${by}`);
  const mine = await attempt(key, 'mine');
  await overtake(key);
  let tries = 0;
  const refused = prepare(mine, (fence) => (tries++, Promise.reject(new OvertakenWrite(fence + 1))));
  await expect(refused).rejects.toMatchObject({ type });
  expect(tries).toBe(1);
});

async function repairOf({ claim: mine }: PartitionKey) {
  await closeInstance(ledger, mine, 'failed');
  return claimRepair(ledger, mine.instance);
}

test.for([
  ['another repair', repairOf],
  ['a run that has ended since', (key: PartitionKey) => runAgain(key)],
] as const)('a repair writes nothing after %s', async ([by, overtake]) => {
  const key = await openPartition(`repair before ${by}`);
  const claimed = await repairOf(key);
  const hold = () =>
    ledger.transaction((transaction) => holdRepair(transaction, key.claim.instance, claimed));
  await hold();
  await overtake(key);
  await expect(hold()).rejects.toMatchObject({ type: 'RepairRefused' });
});

async function runAgain({ claim: { instance } }: PartitionKey): Promise<void> {
  await closeInstance(ledger, await claim(instance, 'second'), 'completed');
}
