import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { nothingPruned, usualRetention } from '../../packages/keystride/src/contract/retention.ts';
import { claimInstance, completeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { committedBy } from '../../packages/keystride/src/ledger/run-figures.ts';
import { holdClaim } from '../../packages/keystride/src/ledger/hold-claim.ts';
import { findInstance } from '../../packages/keystride/src/ledger/instance.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { refuseAheadOf } from '../../packages/keystride/src/ledger/prune-clock.ts';
import { pruneLedger, wouldPrune } from '../../packages/keystride/src/ledger/prune.ts';
import { claimRedrive } from '../../packages/keystride/src/ledger/redrive-claim.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

/** What a prune takes, and what nobody may notice of it: two ledgers of the same contents, of which one is pruned. */
let databases: TestDatabase[];
let pools: pg.Pool[];
let pruned: Ledger;
let kept: Ledger;

beforeAll(async () => {
  databases = [await testDatabase('target'), await testDatabase('target')];
  pools = databases.map(({ url }) => createPool(url, 'keystride test', 4));
  [pruned, kept] = pools.map((pool) => new Ledger(pool)) as [Ledger, Ledger];
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await Promise.all(databases.map((database) => database.drop()));
});

const tables = [
  'instance',
  'step',
  'checkpoint',
  'skip',
  'dead_letter',
  'met_shape',
  'postponed_row',
  'audit',
];

beforeEach(() => onBoth(`truncate keystride.instance, keystride.audit, keystride.stream_offset cascade`));

async function onBoth(sql: string, values: unknown[] = []): Promise<void> {
  for (const pool of pools) await pool.query(sql, values);
}

async function rowsOf(pool: pg.Pool | undefined, table: string, where = 'true'): Promise<string[]> {
  const rows = await pool?.query<{ row: string }>(
    `select row_to_json(t)::text as row from keystride.${table} as t where ${where} order by 1`,
  );
  return rows?.rows.map(({ row }) => row) ?? [];
}

interface Made {
  readonly job: 'one' | 'two';
  readonly status: 'running' | 'completed' | 'failed' | 'stopped';
  readonly daysAgo: number;
  readonly skips: readonly ('open' | 'redriven' | 'waived')[];
  readonly redrives: readonly ('running' | 'completed' | 'stopped')[];
}

const made: fc.Arbitrary<Made> = fc.record({
  job: fc.constantFrom('one', 'two'),
  status: fc.constantFrom('running', 'completed', 'completed', 'completed', 'failed', 'stopped'),
  daysAgo: fc.integer({ min: 0, max: 20 }),
  skips: fc.array(fc.constantFrom('open', 'redriven', 'waived', 'waived'), { maxLength: 3 }),
  redrives: fc.array(fc.constantFrom('running', 'completed', 'stopped'), { maxLength: 2 }),
});

const keyOf = ({ job }: Made, number: number) => `${job}:run=${number}`;

async function make(one: Made, number: number): Promise<void> {
  const key = keyOf(one, number);
  await makeInstance(key, one.job, one.status, one.daysAgo);
  await onBoth(
    `insert into keystride.skip
            (instance_key, step, item_key, phase, code, fingerprint, message, partition, created_at, status)
     select $1, 'items', number, 'process', 'ODD', 'ODD: #', 'it is odd', 0, '2025-10-01', status
       from unnest($2::text[]) with ordinality as skip (status, number)`,
    [key, one.skips],
  );
  for (const [index, status] of one.redrives.entries())
    await makeInstance(`${key}/redrive-${index + 1}`, 'redrive', status, one.daysAgo, key);
}

async function makeInstance(
  key: string,
  job: string,
  status: string,
  daysAgo: number,
  redrives: string | null = null,
) {
  await onBoth(
    `with made as (
       insert into keystride.instance
              (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status, opened_at, closed_at, redrives)
       values ($1, $2, '{}', 3, $1, 'run of ' || $1, $3, '2025-10-01',
               case when $3 <> 'running' then date_trunc('day', now()) - make_interval(days => $4) end, $5)
       returning instance_key),
     stepped as (
       insert into keystride.step (instance_key, step, status, epoch, opened_at)
       select instance_key, 'items', 'completed', 3, '2025-10-01' from made returning instance_key),
     cut as (
       insert into keystride.checkpoint (instance_key, step, partition, epoch, read, written, skipped, updated_at)
       select instance_key, 'items', number, 3, 10, 8, 2, '2025-10-01' from stepped, generate_series(0, 2) as number)
     insert into keystride.dead_letter (instance_key, epoch, workflow_id, run_id, step, partition, item_key, phase, code,
            fingerprint, message, attempts, created_at)
     select instance_key, 2, 'w', 'r', 'items', 0, 'a', 'process', 'ODD', 'ODD', 'odd', 1,
            date_trunc('day', now()) - make_interval(days => $4 + 1) from made`,
    [key, job, status, daysAgo, redrives],
  );
}

/** What a start of the instance by another run comes to. */
async function startOf(ledger: Ledger, job: string, instance: string, open: boolean): Promise<unknown> {
  const request = { job, instance, parameters: {}, carried: null, preventRestart: false };
  return claimInstance(ledger, { ...request, workflowId: 'another', runId: 'another' }, () =>
    Promise.resolve(open),
  ).then(
    ({ epoch }) => epoch,
    ({ type, message }: { type: string; message: string }) => ({ type, message }),
  );
}

test('whatever is pruned, and wherever it is interrupted, every instance is refused or restarted as before', async () => {
  const retentions = fc.record({
    olderThanDays: fc.integer({ min: 0, max: 20 }),
    keep: fc.integer({ min: 0, max: 4 }),
    openSkips: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(made, { maxLength: 10 }),
      retentions,
      fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
      fc.boolean(),
      async (instances, retention, interruptions, open) => {
        await onBoth(`truncate keystride.instance, keystride.audit cascade`);
        for (const [number, one] of instances.entries()) await make(one, number);
        const whole = { ...usualRetention, ...retention };
        for (const chunks of interruptions) await interrupted(whole, chunks);
        await pruneLedger(pruned, whole);
        expect(await wouldPrune(pruned, whole)).toEqual(nothingPruned);
        expect(await rowsOf(pools[0], 'instance', 'being_pruned')).toEqual([]);
        for (const [number, one] of instances.entries()) {
          const key = keyOf(one, number);
          const [left] = await rowsOf(
            pools[0],
            'instance',
            `instance_key = '${key}' and pruned_at is not null`,
          );
          const mayGo =
            one.status === 'completed' &&
            !one.redrives.includes('running') &&
            (retention.openSkips || !one.skips.includes('open'));
          if (!mayGo) expect(left).toBeUndefined();
          for (const table of ['step', 'checkpoint', 'skip']) {
            const where = `instance_key = '${key}' or instance_key like '${key}/%'`;
            const there = await rowsOf(pools[0], table, where);
            expect(there).toEqual(left === undefined ? await rowsOf(pools[1], table, where) : []);
          }
          expect(await findInstance(pruned, key)).toEqual(await findInstance(kept, key));
          expect(await committedBy(pruned, [key])).toEqual(await committedBy(kept, [key]));
          expect(await startOf(pruned, one.job, key, open)).toEqual(await startOf(kept, one.job, key, open));
        }
      },
    ),
    { numRuns: 25 },
  );
});

/** Prunes until so many transactions have committed. */
async function interrupted(retention: typeof usualRetention, chunks: number): Promise<void> {
  const ending = new AbortController();
  let done = 0;
  const onProgress = () => {
    done += 1;
    if (done >= chunks) ending.abort();
  };
  await pruneLedger(pruned, retention, { signal: ending.signal, onProgress });
}

const everything = { olderThanDays: 1, keep: 0, auditOlderThanDays: 1 };

test('the newest of each job are kept, and those that are young enough', async () => {
  for (let number = 0; number < 6; number++)
    await make({ job: 'one', status: 'completed', daysAgo: number * 3, skips: [], redrives: [] }, number);
  expect(await pruneLedger(pruned, { ...everything, olderThanDays: 8, keep: 2 })).toMatchObject({
    instances: 3,
  });
  expect(await pruneLedger(kept, { ...everything, olderThanDays: 8, keep: 5 })).toMatchObject({
    instances: 1,
  });
});

test.for([10, -10])('by a clock that is %i minutes off nothing is old, and nothing goes', async (minutes) => {
  await make({ job: 'one', status: 'completed', daysAgo: 5, skips: ['waived'], redrives: [] }, 1);
  const clock = () => Date.now() - minutes * 60_000;
  const before = await Promise.all(tables.map((table) => rowsOf(pools[0], table)));
  const told = { type: 'ClocksApart', message: expect.stringContaining('10 minutes') as string };
  await expect(pruneLedger(pruned, everything, { clock })).rejects.toMatchObject(told);
  await expect(wouldPrune(pruned, everything, clock)).rejects.toMatchObject(told);
  expect(await Promise.all(tables.map((table) => rowsOf(pools[0], table)))).toEqual(before);
});

test('a worker whose clock is ahead of Temporal prunes nothing', () => {
  const at = Date.parse('2026-01-01T00:00:00Z');
  const hours = (count: number) => count * 3_600_000;
  expect(() => refuseAheadOf(at, at + hours(24))).not.toThrow();
  for (const off of [hours(25), -hours(1)])
    expect(() => refuseAheadOf(at, at + off)).toThrow(/Temporal's: nothing was pruned/u);
});

test('a transaction deletes a bounded number of rows, however many an instance has', async () => {
  await make({ job: 'one', status: 'completed', daysAgo: 5, skips: [], redrives: [] }, 1);
  await onBoth(
    `insert into keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition, status)
     select 'one:run=1', 'items', number, 'process', 'ODD', 'ODD: #', 'it is odd', 0, 'waived'
       from generate_series(1, 7000) as number`,
  );
  const chunks: number[] = [];
  const onProgress = ({ skips, partitions }: typeof nothingPruned) => void chunks.push(skips + partitions);
  expect(await pruneLedger(pruned, everything, { onProgress })).toMatchObject({ skips: 7000, partitions: 3 });
  expect(Math.max(...chunks)).toBeLessThanOrEqual(2000);
  expect(chunks.filter((rows) => rows > 0)).toHaveLength(4);
});

test('a dry run tells what goes, and changes nothing', async () => {
  await make({ job: 'one', status: 'completed', daysAgo: 5, skips: ['waived'], redrives: ['completed'] }, 1);
  await make({ job: 'two', status: 'failed', daysAgo: 5, skips: ['open'], redrives: [] }, 2);
  await onBoth(
    `insert into keystride.audit (at, operator, origin, action, before, after)
     select now() - make_interval(days => age), 'anna', 'command', 'pause', '{}', '{}' from generate_series(0, 4) as age`,
  );
  const before = await Promise.all(tables.map((table) => rowsOf(pools[0], table)));
  const told = await wouldPrune(pruned, everything);
  expect(await Promise.all(tables.map((table) => rowsOf(pools[0], table)))).toEqual(before);
  expect(told).toEqual({ instances: 1, partitions: 6, skips: 1, deadLetters: 3, audit: 4 });
  expect(await pruneLedger(pruned, everything)).toEqual(told);
});

test('one job alone is pruned where that is asked', async () => {
  for (const job of ['one', 'two'] as const)
    await make({ job, status: 'completed', daysAgo: 5, skips: [], redrives: [] }, 1);
  expect(await pruneLedger(pruned, { ...everything, jobs: ['two'] })).toMatchObject({
    instances: 1,
    deadLetters: 1,
  });
  expect(await rowsOf(pools[0], 'step', `instance_key = 'one:run=1'`)).toHaveLength(1);
});

test('a run that was reset after its instance was pruned writes nothing', async () => {
  await make({ job: 'one', status: 'completed', daysAgo: 5, skips: [], redrives: [] }, 1);
  await pruneLedger(pruned, everything);
  const claim = { job: 'one', instance: 'one:run=1', epoch: 3 };
  await expect(pruned.transaction((transaction) => holdClaim(transaction, claim))).rejects.toMatchObject({
    type: 'JobInstanceAlreadyComplete',
  });
  const saw = { step: 'items', kind: 'chunk', own: true } as const;
  expect(await completeInstance(pruned, claim, [saw])).toEqual([
    expect.stringContaining('was seen completed and has no record there') as string,
  ]);
});

test('a parent that goes on finds its part complete, with its figures', async () => {
  await make({ job: 'two', status: 'completed', daysAgo: 5, skips: [], redrives: [] }, 1);
  await make({ job: 'one', status: 'running', daysAgo: 0, skips: [], redrives: [] }, 2);
  await pruneLedger(pruned, everything);
  const parent = { job: 'one', instance: 'one:run=2', epoch: 3 };
  const saw = { step: 'part', kind: 'job', own: true, instance: 'two:run=1' } as const;
  expect(await completeInstance(pruned, parent, [saw])).toEqual([]);
});

test('what was pruned with its open skips is not redriven', async () => {
  await make({ job: 'one', status: 'completed', daysAgo: 5, skips: ['open'], redrives: [] }, 1);
  expect(await pruneLedger(pruned, everything)).toMatchObject({ instances: 0 });
  expect(await pruneLedger(pruned, { ...everything, openSkips: true })).toMatchObject({
    instances: 1,
    skips: 1,
  });
  const request = { selection: { instance: 'one:run=1' }, parameters: {}, workflowId: 'w', runId: 'r' };
  await expect(claimRedrive(pruned, request, () => Promise.resolve(false))).rejects.toMatchObject({
    type: 'NothingToRedrive',
  });
});
