import { describe, expect, test } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import type { SeenStep } from '../../packages/keystride/src/contract/step-activities.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import {
  advanceCheckpoint,
  hasCommitted,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { closeInstance, completeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { closeRedriven } from '../../packages/keystride/src/ledger/redriven-skips.ts';
import { splitCheckpoint } from '../../packages/keystride/src/ledger/split.ts';
import { completeTasklet, findStep, recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { key, lease, opening, OwnLedger, tasks, ten, whole } from './own-ledger.ts';

// What the ledger has lost is taken out of it, as a failover or a restore does.
const own = new OwnLedger();

async function statusOf(instance: string): Promise<string | undefined> {
  const { rows } = await own.pool.query<{ status: string }>(
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
    const { claimed, saw } = await own.completedRun('whole');
    expect(await completeInstance(own.ledger, claimed, saw)).toEqual([]);
    expect(await completeInstance(own.ledger, claimed, saw)).toEqual([]);
    expect(await statusOf('whole')).toBe('completed');
  });

  test.each(losses)('is not completed where the ledger has lost %s', async (what, sql, told) => {
    const { claimed, saw } = await own.completedRun(what);
    await own.pool.query(sql, [what]);
    expect(await completeInstance(own.ledger, claimed, saw)).toEqual([expect.stringMatching(told)]);
    expect(await statusOf(what)).toBe('running');
    // Nor does another step begin before.
    await expect(findStep(own.ledger, { claim: claimed, step: 'next' }, saw)).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringMatching(told),
    });
  });

  test('fails where a completed step has other figures than were answered', async () => {
    const { claimed, saw } = await own.completedRun('figures');
    await own.pool.query(
      `UPDATE keystride.checkpoint SET read = 9, written = 9 WHERE instance_key = 'figures'`,
    );
    await expect(completeInstance(own.ledger, claimed, saw)).rejects.toMatchObject({
      type: 'BooksDoNotBalance',
      message: expect.stringContaining('step copy was seen completed with read 10'),
    });
    expect(await statusOf('figures')).toBe('running');
  });

  test('is not completed where a nested job has lost its end', async () => {
    const { claimed, saw } = await own.completedRun('nested');
    const job: SeenStep = { step: 'poll', kind: 'job', own: true, instance: 'the poll' };
    expect(await completeInstance(own.ledger, claimed, [...saw, job])).toEqual([
      'step poll, the job the poll, was seen completed and is not there',
    ]);
    await closeInstance(own.ledger, await own.claim('the poll'), 'completed');
    expect(await completeInstance(own.ledger, claimed, [...saw, job])).toEqual([]);
  });

  test('that a later execution has shut out closes nothing, and says so', async () => {
    const { claimed, saw } = await own.completedRun('shut out');
    await own.claim('shut out', { run: 'second', workflowId: 'another' });
    await expect(completeInstance(own.ledger, claimed, saw)).rejects.toMatchObject({
      type: 'Fenced',
      message: expect.stringContaining('claimed by a later execution, workflow another'),
    });
    for (const outcome of ['failed', 'stopped'] as const) await closeInstance(own.ledger, claimed, outcome);
    expect(await statusOf('shut out')).toBe('running');
  });
});

describe('a run that is continued in a ledger that went back', () => {
  test('claims an instance that is gone anew, above its epoch', async () => {
    const carried = { ...(await own.claim('gone')), epoch: 3 };
    await own.pool.query(`DELETE FROM keystride.instance WHERE instance_key = 'gone'`);
    expect((await own.claim('gone', { run: 'next', carried })).epoch).toBe(4);
    // An answer that was lost.
    expect((await own.claim('gone', { run: 'next', carried })).epoch).toBe(4);
  });

  test('claims one that stands lower anew, above its epoch', async () => {
    const carried = { ...(await own.claim('lower')), epoch: 3 };
    expect((await own.claim('lower', { run: 'next', carried })).epoch).toBe(4);
  });

  test('leaves one alone that another execution has claimed there', async () => {
    const carried = { ...(await own.claim('taken')), epoch: 3 };
    await own.claim('taken', { run: 'second', workflowId: 'another' });
    await expect(own.claim('taken', { run: 'next', carried, isOpen: true })).rejects.toMatchObject({
      type: 'JobExecutionAlreadyRunning',
    });
  });

  test('does not run again what must not be restarted, nor a redrive without its skips', async () => {
    const carried = await own.claim('once');
    await own.pool.query(`DELETE FROM keystride.instance WHERE instance_key = 'once'`);
    await expect(own.claim('once', { run: 'next', carried, preventRestart: true })).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringContaining('must not be restarted'),
    });
    const redrives = { instance: 'once', parameters: {} };
    await expect(
      own.claim('once', { run: 'next', job: 'redrive', carried: { ...carried, redrives } }),
    ).rejects.toMatchObject({
      type: 'LedgerBehind',
      message: expect.stringContaining('skips once redrive'),
    });
  });
});

describe('what commits once', () => {
  test('a tasklet whose answer was lost is not run again', async () => {
    const claimed = await own.claim('answer lost');
    const begin = { claim: claimed, step: 'begin' };
    await recordStep(own.ledger, begin, tasks, opening, undefined);
    let runs = 0;
    const attempt = () => completeTasklet(own.ledger, begin, 5, () => Promise.resolve((runs += 1)));
    expect([await attempt(), await attempt()]).toEqual([1, 1]);
  });

  test('a partition is not cut where a chunk has committed since it was looked at', async () => {
    const claimed = await own.claim('cut late');
    await recordStep(own.ledger, key(claimed), whole, opening, undefined);
    const taken = await takeCheckpoint(own.ledger, key(claimed), 'mine');
    await own.ledger.transaction((transaction) =>
      advanceCheckpoint(transaction, lease(key(claimed), 0), {
        ...{ cursor: cursorOf(['10']), counters: ten, done: false },
      }),
    );
    await expect(splitCheckpoint(own.ledger, taken, cursorOf(['5']), 1)).rejects.toMatchObject({
      type: 'Superseded',
    });
  });

  test('a commit of another attempt is not taken for that of this one', async () => {
    const claimed = await own.claim('of another');
    await recordStep(own.ledger, key(claimed), whole, opening, undefined);
    await takeCheckpoint(own.ledger, key(claimed), 'mine');
    await takeCheckpoint(own.ledger, key(claimed), 'another');
    await own.ledger.transaction((transaction) =>
      advanceCheckpoint(transaction, lease(key(claimed), 0, 'another'), {
        ...{ cursor: null, counters: ten, done: false },
      }),
    );
    await expect(hasCommitted(own.ledger, lease(key(claimed), 0))).rejects.toMatchObject({
      type: 'Superseded',
    });
    expect(await hasCommitted(own.ledger, lease(key(claimed), 0, 'another'))).toBe(true);
  });

  test('skips that another redrive has taken are not closed by the one before', async () => {
    const claimed = await own.claim('redriven');
    await recordStep(own.ledger, key(claimed), whole, opening, undefined);
    await own.pool.query(
      `INSERT INTO keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition, redrive, place)
       VALUES ('redriven', 'copy', '1', 'process', 'C', 'C', 'm', 0, 'redriven/redrive-2', 0)`,
    );
    const first: Claim = {
      ...{ job: 'noted', instance: 'redriven/redrive-1', epoch: 2 },
      redrives: { instance: 'redriven', parameters: {} },
    };
    const chunk = { first: cursorOf(['0']), cursor: cursorOf(['0']), skips: [] };
    await expect(
      own.ledger.transaction((transaction) =>
        closeRedriven(transaction, { claim: first, step: 'copy' }, chunk),
      ),
    ).rejects.toMatchObject({ type: 'Fenced' });
  });
});

test('a claim is above the epochs that other stores have seen', async () => {
  expect((await own.claim('seen elsewhere', { seenElsewhere: 7 })).epoch).toBe(8);
  expect((await own.claim('seen elsewhere', { run: 'second', seenElsewhere: 7 })).epoch).toBe(9);
  expect((await own.claim('seen elsewhere', { run: 'third', seenElsewhere: 20 })).epoch).toBe(21);
});
