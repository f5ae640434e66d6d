import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { noCounters } from '../../packages/keystride/src/contract/progress.ts';
import {
  advanceCheckpoint,
  hasCommitted,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance, completeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { splitCheckpoint } from '../../packages/keystride/src/ledger/split.ts';
import {
  completeStep,
  completeTasklet,
  findStep,
  recordStep,
  reopenStep,
} from '../../packages/keystride/src/ledger/step.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase } from '../support/database.ts';
import { key, lease, opening, OwnLedger, ten, whole } from './own-ledger.ts';

const own = new OwnLedger();

beforeAll(() => own.pool.query('CREATE TABLE effect (run text NOT NULL)'));

type Work = (claimed: Claim) => Promise<unknown>;

/** Everything that an execution does with its claim. */
const works: readonly (readonly [what: string, work: Work])[] = [
  ['a step is looked for', (claimed) => findStep(own.ledger, key(claimed))],
  ['a step is recorded', (claimed) => recordStep(own.ledger, key(claimed), whole, opening, undefined)],
  [
    'a step is opened again',
    (claimed) =>
      reopenStep(own.ledger, key(claimed), opening, {
        ...{ epoch: 0, starts: 1, completed: false, result: null, expected: null },
        ...{ counters: noCounters, partitions: [] },
      }),
  ],
  ['a page begins', (claimed) => takeCheckpoint(own.ledger, key(claimed), 'another')],
  [
    'a chunk commits',
    (claimed) =>
      own.ledger.transaction((transaction) =>
        advanceCheckpoint(transaction, lease(key(claimed), 1), { cursor: null, counters: ten, done: true }),
      ),
  ],
  ['a commit is asked about', (claimed) => hasCommitted(own.ledger, lease(key(claimed), 1))],
  [
    'a partition is split',
    (claimed) =>
      splitCheckpoint(
        own.ledger,
        { lease: lease(key(claimed), 0), range: { lower: null, upper: null } },
        cursorOf(['5']),
        1,
      ),
  ],
  [
    'a tasklet runs',
    (claimed) =>
      completeTasklet(own.ledger, { claim: claimed, step: 'begin' }, 5, (transaction) =>
        transaction.query('INSERT INTO effect VALUES ($1)', [claimed.instance]),
      ),
  ],
  ['a step is completed', (claimed) => completeStep(own.ledger, key(claimed))],
  ['the job is completed', (claimed) => completeInstance(own.ledger, claimed, [])],
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
    const { claimed } = await own.completedRun(instance);
    await own.pool.query(sql, [instance]);
    await expect(work(claimed)).rejects.toMatchObject({ type, message: expect.stringContaining(told) });
    expect((await own.pool.query('SELECT FROM effect WHERE run = $1', [instance])).rowCount).toBe(0);
  });
});

describe('where the steps are gone and the claim is there', () => {
  test.each(works.slice(3, -1))('nothing happens when %s', async (_what, work) => {
    const instance = `stepless ${(instances += 1)}`;
    const { claimed } = await own.completedRun(instance);
    await own.pool.query('DELETE FROM keystride.step WHERE instance_key = $1', [instance]);
    await expect(work(claimed)).rejects.toMatchObject({ type: 'LedgerBehind' });
    expect((await own.pool.query('SELECT FROM effect WHERE run = $1', [instance])).rowCount).toBe(0);
  });
});

describe('in another ledger', () => {
  test.each(works)(
    'nothing happens when %s, though it has the instance under the same claim',
    async (_w, work) => {
      const instance = `elsewhere ${(instances += 1)}`;
      const { claimed } = await own.completedRun(instance);
      const elsewhere = { ...claimed, ledger: '00000000-0000-0000-0000-000000000000/1' };
      // What a chunk's own compare-and-set guards is its holder, which no other ledger has.
      if (/chunk commits|commit is asked/u.test(_w)) {
        await own.pool.query('UPDATE keystride.checkpoint SET holder = NULL WHERE instance_key = $1', [
          instance,
        ]);
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
    const carried = await own.claim('copied');
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
