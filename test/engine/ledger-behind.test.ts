import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim, SeenStep } from '../../packages/keystride/src/contract/activities.ts';
import { noCounters } from '../../packages/keystride/src/contract/progress.ts';
import {
  advanceCheckpoint,
  hasCommitted,
  type Lease,
  type PartitionKey,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance, closeInstance, completeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { closeRedriven } from '../../packages/keystride/src/ledger/redriven-skips.ts';
import { splitCheckpoint } from '../../packages/keystride/src/ledger/split.ts';
import {
  completeStep,
  completeTasklet,
  findStep,
  recordStep,
  reopenStep,
} from '../../packages/keystride/src/ledger/step.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

// What the ledger has lost is taken out of it, as a failover or a restore does.
let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 4);
  ledger = new Ledger(pool);
  await pool.query('CREATE TABLE effect (run text NOT NULL)');
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

interface Asked {
  readonly run?: string;
  readonly workflowId?: string;
  readonly carried?: Claim | null;
  readonly preventRestart?: boolean;
  readonly seenElsewhere?: number;
  readonly isOpen?: boolean;
  readonly job?: string;
}

function claim(instance: string, asked: Asked = {}): Promise<Claim> {
  const {
    run = 'first',
    workflowId = instance,
    carried = null,
    preventRestart = false,
    job = 'noted',
  } = asked;
  const { isOpen = false, seenElsewhere = 0 } = asked;
  return claimInstance(
    ledger,
    { ...{ job, instance, parameters: {}, workflowId, runId: run }, carried, preventRestart, seenElsewhere },
    () => Promise.resolve(isOpen),
  );
}

const opening = { skipLimit: 0, startLimit: undefined, beforeStep: undefined };
const tasks = { ranges: [], expected: null };
const whole = { ranges: [{ lower: null, upper: null }], expected: null };
const ten = { ...noCounters, read: 10, written: 10 };

/** An instance whose tasklet and chunk step have completed, and what its run has seen of them. */
async function completedRun(instance: string): Promise<{ claimed: Claim; saw: SeenStep[] }> {
  const claimed = await claim(instance);
  const begin = { claim: claimed, step: 'begin' };
  await recordStep(ledger, begin, tasks, opening, undefined);
  await completeTasklet(ledger, begin, 5, () => Promise.resolve(1));
  const key = { claim: claimed, step: 'copy', partition: 0 };
  await recordStep(ledger, key, whole, opening, undefined);
  await takeCheckpoint(ledger, key, 'mine');
  await ledger.transaction((transaction) =>
    advanceCheckpoint(transaction, lease(key, 0), { cursor: cursorOf(['10']), counters: ten, done: true }),
  );
  await completeStep(ledger, key);
  const saw: SeenStep[] = [
    { step: 'begin', kind: 'tasklet', own: true },
    { step: 'copy', kind: 'chunk', own: true, counters: ten },
  ];
  return { claimed, saw };
}

async function statusOf(instance: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ status: string }>(
    'SELECT status FROM keystride.instance WHERE instance_key = $1',
    [instance],
  );
  return rows[0]?.status;
}

/** What is taken back, where `$1` is the instance. */
const losses: readonly (readonly [what: string, sql: string, told: RegExp])[] = [
  [
    'the end of the last step',
    `UPDATE keystride.step SET status = 'open' WHERE instance_key = $1 AND step = 'copy'`,
    /step copy was seen completed \(read 10, written 10, .*\) and is open there/u,
  ],
  [
    'the last chunks and the end of a step',
    `WITH gone AS (UPDATE keystride.step SET status = 'open' WHERE instance_key = $1 AND step = 'copy')
     UPDATE keystride.checkpoint SET read = 4, written = 4, cursor = '["4"]', done = false WHERE instance_key = $1`,
    /is open there \(read 4, written 4, .*\), in doubt are partitions 0 above \["4"\] up to the end/u,
  ],
  [
    'a step',
    `DELETE FROM keystride.step WHERE instance_key = $1 AND step = 'copy'`,
    /copy .*and has no record there/u,
  ],
  [
    'the result of a tasklet, though a later step has completed',
    `UPDATE keystride.step SET status = 'open', result = NULL WHERE instance_key = $1 AND step = 'begin'`,
    /step begin was seen completed and is open there/u,
  ],
  [
    'that it was run again',
    `UPDATE keystride.step SET epoch = 0 WHERE instance_key = $1 AND step = 'copy'`,
    /step copy .* is there as an earlier execution completed it/u,
  ],
];

describe('a run that closes', () => {
  test('is completed where the ledger holds what it has seen, also asked again', async () => {
    const { claimed, saw } = await completedRun('whole');
    expect(await completeInstance(ledger, claimed, saw)).toEqual([]);
    expect(await completeInstance(ledger, claimed, saw)).toEqual([]);
    expect(await statusOf('whole')).toBe('completed');
  });

  test.each(losses)('is not completed where the ledger has lost %s', async (what, sql, told) => {
    const { claimed, saw } = await completedRun(what);
    await pool.query(sql, [what]);
    expect(await completeInstance(ledger, claimed, saw)).toEqual([expect.stringMatching(told)]);
    expect(await statusOf(what)).toBe('running');
    // Nor does another step begin before.
    await expect(findStep(ledger, { claim: claimed, step: 'next' }, saw)).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringMatching(told),
    });
  });

  test('fails where a completed step has other figures than were answered', async () => {
    const { claimed, saw } = await completedRun('figures');
    await pool.query(`UPDATE keystride.checkpoint SET read = 9, written = 9 WHERE instance_key = 'figures'`);
    await expect(completeInstance(ledger, claimed, saw)).rejects.toMatchObject({
      type: 'BooksDoNotBalance',
      message: expect.stringContaining('step copy was seen completed with read 10'),
    });
    expect(await statusOf('figures')).toBe('running');
  });

  test('is not completed where a nested job has lost its end', async () => {
    const { claimed, saw } = await completedRun('nested');
    const job: SeenStep = { step: 'poll', kind: 'job', own: true, instance: 'the poll' };
    expect(await completeInstance(ledger, claimed, [...saw, job])).toEqual([
      'step poll, the job the poll, was seen completed and is not there',
    ]);
    await closeInstance(ledger, await claim('the poll'), 'completed');
    expect(await completeInstance(ledger, claimed, [...saw, job])).toEqual([]);
  });

  test('that a later execution has shut out closes nothing, and says so', async () => {
    const { claimed, saw } = await completedRun('shut out');
    await claim('shut out', { run: 'second', workflowId: 'another' });
    await expect(completeInstance(ledger, claimed, saw)).rejects.toMatchObject({
      type: 'Fenced',
      message: expect.stringContaining('claimed by a later execution, workflow another'),
    });
    for (const outcome of ['failed', 'stopped'] as const) await closeInstance(ledger, claimed, outcome);
    expect(await statusOf('shut out')).toBe('running');
  });
});

type Work = (claimed: Claim) => Promise<unknown>;

/** What an attempt has that took the partition, after so many chunks. */
function lease(of: PartitionKey, seq: number, holder = 'mine'): Lease {
  return { ...of, holder, seq };
}

const key = (claimed: Claim) => ({ claim: claimed, step: 'copy', partition: 0 });

/** Everything that an execution does with its claim. */
const works: readonly (readonly [what: string, work: Work])[] = [
  ['a step is looked for', (claimed) => findStep(ledger, key(claimed))],
  ['a step is recorded', (claimed) => recordStep(ledger, key(claimed), whole, opening, undefined)],
  [
    'a step is opened again',
    (claimed) =>
      reopenStep(ledger, key(claimed), opening, {
        ...{ epoch: 0, starts: 1, completed: false, result: null, expected: null },
        ...{ counters: noCounters, partitions: [] },
      }),
  ],
  ['a page begins', (claimed) => takeCheckpoint(ledger, key(claimed), 'another')],
  [
    'a chunk commits',
    (claimed) =>
      ledger.transaction((transaction) =>
        advanceCheckpoint(transaction, lease(key(claimed), 1), { cursor: null, counters: ten, done: true }),
      ),
  ],
  ['a commit is asked about', (claimed) => hasCommitted(ledger, lease(key(claimed), 1))],
  [
    'a partition is split',
    (claimed) =>
      splitCheckpoint(
        ledger,
        { lease: lease(key(claimed), 0), range: { lower: null, upper: null } },
        cursorOf(['5']),
        1,
      ),
  ],
  [
    'a tasklet runs',
    (claimed) =>
      completeTasklet(ledger, { claim: claimed, step: 'begin' }, 5, (transaction) =>
        transaction.query('INSERT INTO effect VALUES ($1)', [claimed.instance]),
      ),
  ],
  ['a step is completed', (claimed) => completeStep(ledger, key(claimed))],
  ['the job is completed', (claimed) => completeInstance(ledger, claimed, [])],
];

let instances = 0;

/** How a claim is lost, and what is then said. */
const lostClaims: readonly (readonly [how: string, sql: string, type: string, told: string])[] = [
  [
    'the instance is gone',
    'DELETE FROM keystride.instance WHERE instance_key = $1',
    'LedgerBehind',
    'it knows nothing of it',
  ],
  [
    'the claim is an earlier one',
    `WITH gone AS (UPDATE keystride.instance SET epoch = 0 WHERE instance_key = $1)
     UPDATE keystride.checkpoint SET epoch = 0 WHERE instance_key = $1`,
    'LedgerBehind',
    'there it stands at epoch 0',
  ],
  [
    'the claim is a later one',
    `WITH raised AS (UPDATE keystride.instance SET epoch = 2 WHERE instance_key = $1)
     UPDATE keystride.checkpoint SET epoch = 2 WHERE instance_key = $1`,
    'Fenced',
    'claimed by a later execution',
  ],
  [
    'the steps are gone and another has the same epoch',
    `WITH taken AS (UPDATE keystride.instance SET owner_workflow_id = 'other' WHERE instance_key = $1)
     DELETE FROM keystride.step WHERE instance_key = $1`,
    'Fenced',
    'workflow other',
  ],
];

describe.each(lostClaims)('where %s', (_, sql, type, told) => {
  test.each(works)('nothing happens when %s', async (_what, work) => {
    const instance = `lost ${(instances += 1)}`;
    const { claimed } = await completedRun(instance);
    await pool.query(sql, [instance]);
    await expect(work(claimed)).rejects.toMatchObject({ type, message: expect.stringContaining(told) });
    expect((await pool.query('SELECT FROM effect WHERE run = $1', [instance])).rowCount).toBe(0);
  });
});

describe('where the steps are gone and the claim is there', () => {
  test.each(works.slice(3, -1))('nothing happens when %s', async (_what, work) => {
    const instance = `stepless ${(instances += 1)}`;
    const { claimed } = await completedRun(instance);
    await pool.query('DELETE FROM keystride.step WHERE instance_key = $1', [instance]);
    await expect(work(claimed)).rejects.toMatchObject({ type: 'LedgerBehind' });
    expect((await pool.query('SELECT FROM effect WHERE run = $1', [instance])).rowCount).toBe(0);
  });
});

describe('in another ledger', () => {
  test.each(works)(
    'nothing happens when %s, though it has the instance under the same claim',
    async (_w, work) => {
      const instance = `elsewhere ${(instances += 1)}`;
      const { claimed } = await completedRun(instance);
      const elsewhere = { ...claimed, ledger: '00000000-0000-0000-0000-000000000000/1' };
      // What a chunk's own compare-and-set guards is its holder, which no other ledger has.
      if (/chunk commits|commit is asked/u.test(_w)) {
        await pool.query('UPDATE keystride.checkpoint SET holder = NULL WHERE instance_key = $1', [instance]);
        await expect(work(elsewhere)).rejects.toMatchObject({ type: 'Superseded' });
      } else
        await expect(work(elsewhere)).rejects.toMatchObject({
          type: 'OtherLedger',
          nonRetryable: false,
          message: expect.stringContaining('another ledger'),
        });
    },
  );

  test('a continued run claims nothing; a copy of the ledger is another one', async () => {
    const carried = await claim('copied');
    const copy = await testDatabase('target');
    const other = createPool(copy.url, 'keystride test', 1);
    try {
      const request = { job: 'noted', instance: 'copied', parameters: {}, preventRestart: false, carried };
      await expect(
        claimInstance(new Ledger(other), { ...request, workflowId: 'copied', runId: 'next' }, () =>
          Promise.resolve(false),
        ),
      ).rejects.toMatchObject({
        type: 'OtherLedger',
        message: expect.stringContaining('a copy of that ledger'),
      });
    } finally {
      await other.end();
      await copy.drop();
    }
  });
});

describe('a run that is continued in a ledger that went back', () => {
  test('claims an instance that is gone anew, above its epoch', async () => {
    const carried = { ...(await claim('gone')), epoch: 3 };
    await pool.query(`DELETE FROM keystride.instance WHERE instance_key = 'gone'`);
    expect((await claim('gone', { run: 'next', carried })).epoch).toBe(4);
    // An answer that was lost.
    expect((await claim('gone', { run: 'next', carried })).epoch).toBe(4);
  });

  test('claims one that stands lower anew, above its epoch', async () => {
    const carried = { ...(await claim('lower')), epoch: 3 };
    expect((await claim('lower', { run: 'next', carried })).epoch).toBe(4);
  });

  test('leaves one alone that another execution has claimed there', async () => {
    const carried = { ...(await claim('taken')), epoch: 3 };
    await claim('taken', { run: 'second', workflowId: 'another' });
    await expect(claim('taken', { run: 'next', carried, isOpen: true })).rejects.toMatchObject({
      type: 'JobExecutionAlreadyRunning',
    });
  });

  test('does not run again what must not be restarted, nor a redrive without its skips', async () => {
    const carried = await claim('once');
    await pool.query(`DELETE FROM keystride.instance WHERE instance_key = 'once'`);
    await expect(claim('once', { run: 'next', carried, preventRestart: true })).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringContaining('must not be restarted'),
    });
    const redrives = { instance: 'once', parameters: {} };
    await expect(
      claim('once', { run: 'next', job: 'redrive', carried: { ...carried, redrives } }),
    ).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringContaining('skips once redrive'),
    });
  });
});

describe('what commits once', () => {
  test('a tasklet whose answer was lost is not run again', async () => {
    const claimed = await claim('answer lost');
    const begin = { claim: claimed, step: 'begin' };
    await recordStep(ledger, begin, tasks, opening, undefined);
    let runs = 0;
    const attempt = () => completeTasklet(ledger, begin, 5, () => Promise.resolve((runs += 1)));
    expect([await attempt(), await attempt()]).toEqual([1, 1]);
  });

  test('a partition is not cut where a chunk has committed since it was looked at', async () => {
    const claimed = await claim('cut late');
    await recordStep(ledger, key(claimed), whole, opening, undefined);
    const taken = await takeCheckpoint(ledger, key(claimed), 'mine');
    await ledger.transaction((transaction) =>
      advanceCheckpoint(transaction, lease(key(claimed), 0), {
        ...{ cursor: cursorOf(['10']), counters: ten, done: false },
      }),
    );
    await expect(splitCheckpoint(ledger, taken, cursorOf(['5']), 1)).rejects.toMatchObject({
      type: 'Superseded',
    });
  });

  test('a commit of another attempt is not taken for that of this one', async () => {
    const claimed = await claim('of another');
    await recordStep(ledger, key(claimed), whole, opening, undefined);
    await takeCheckpoint(ledger, key(claimed), 'mine');
    await takeCheckpoint(ledger, key(claimed), 'another');
    await ledger.transaction((transaction) =>
      advanceCheckpoint(transaction, lease(key(claimed), 0, 'another'), {
        ...{ cursor: null, counters: ten, done: false },
      }),
    );
    await expect(hasCommitted(ledger, lease(key(claimed), 0))).rejects.toMatchObject({ type: 'Superseded' });
    expect(await hasCommitted(ledger, lease(key(claimed), 0, 'another'))).toBe(true);
  });

  test('skips that another redrive has taken are not closed by the one before', async () => {
    const claimed = await claim('redriven');
    await recordStep(ledger, key(claimed), whole, opening, undefined);
    await pool.query(
      `INSERT INTO keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition, redrive, place)
       VALUES ('redriven', 'copy', '1', 'process', 'C', 'C', 'm', 0, 'redriven/redrive-2', 0)`,
    );
    const first: Claim = {
      ...{ job: 'noted', instance: 'redriven/redrive-1', epoch: 2 },
      redrives: { instance: 'redriven', parameters: {} },
    };
    const chunk = { first: cursorOf(['0']), cursor: cursorOf(['0']), skips: [] };
    await expect(
      ledger.transaction((transaction) => closeRedriven(transaction, { claim: first, step: 'copy' }, chunk)),
    ).rejects.toMatchObject({ type: 'Fenced' });
  });
});

test('a claim is above the epochs that other stores have seen', async () => {
  expect((await claim('seen elsewhere', { seenElsewhere: 7 })).epoch).toBe(8);
  expect((await claim('seen elsewhere', { run: 'second', seenElsewhere: 7 })).epoch).toBe(9);
  expect((await claim('seen elsewhere', { run: 'third', seenElsewhere: 20 })).epoch).toBe(21);
});
