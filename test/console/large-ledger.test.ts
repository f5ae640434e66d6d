import type { Compilable, InferResult } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { pageOfDeadLetters } from '../../packages/keystride/src/ledger/dead-letter-list.ts';
import { findOriginalKey } from '../../packages/keystride/src/ledger/executions.ts';
import { pageOfInstances } from '../../packages/keystride/src/ledger/instance-list.ts';
import { type Asked, Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { wouldPrune } from '../../packages/keystride/src/ledger/prune.ts';
import { committedBy } from '../../packages/keystride/src/ledger/run-figures.ts';
import { causesOf } from '../../packages/keystride/src/ledger/skip-causes.ts';
import { countedSkips } from '../../packages/keystride/src/ledger/skip-filter.ts';
import {
  countByStatus,
  keysNeverSkipped,
  pageOfSkips,
} from '../../packages/keystride/src/ledger/skip-list.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { causes, fillLedger, largeInstance } from '../support/large-ledger.ts';

/** What pages and commands ask of a ledger that has grown for years: each answer costs what it holds. */
let database: TestDatabase;
let client: pg.Client;

const size = { instances: 10_000, skips: 250_000, partitions: 5_000 };

beforeAll(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await fillLedger(client, size);
}, 300_000);

afterAll(async () => {
  await client?.end();
  await database?.drop();
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Rows that a plan has read from tables and indexes, those that it did not want included. */
function rowsRead(node: PlanNode): number {
  const below = (node.Plans ?? []).reduce((sum, one) => sum + rowsRead(one), 0);
  if (!node['Node Type'].endsWith('Scan') || node['Node Type'] === 'CTE Scan') return below;
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  const own = node['Relation Name'] === undefined ? 0 : node['Actual Rows'] + removed;
  return below + own * node['Actual Loops'];
}

/** Asks, and counts the rows that the server has read for it. */
async function reading<Result>(
  ask: (ledger: Asked) => Promise<Result>,
): Promise<{ read: number; found: Result }> {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  let read = 0;
  try {
    const ledger = new Ledger(pool);
    const found = await ask({
      async run<Query extends Compilable<unknown>>(query: Query): Promise<InferResult<Query>> {
        const { sql, parameters } = query.compile();
        const explained = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
          `explain (analyze, timing off, format json) ${sql}`,
          [...parameters],
        );
        const plan = explained.rows[0]?.['QUERY PLAN'][0].Plan;
        if (plan) read += rowsRead(plan);
        return ledger.run(query);
      },
    });
    return { read, found };
  } finally {
    await pool.end();
  }
}

const page = { limit: 50 };

describe('skips of an instance', () => {
  test('are counted by state as far as anybody counts', async () => {
    const { read, found } = await reading((ledger) => countByStatus(ledger, largeInstance, {}));
    const more = countedSkips + 1;
    expect(found).toEqual({ open: more, redriven: more, waived: more });
    expect(read).toBeLessThan(3.1 * countedSkips);
  });

  test('have causes, the most frequent first, with the first and the last time', async () => {
    const { read, found } = await reading((ledger) => causesOf(ledger, largeInstance, {}));
    expect(found.map(({ code }) => code)).toEqual(causes.map(({ code }) => code));
    expect(found[3]).toEqual({
      code: 'GONE',
      fingerprint: causes[3]?.fingerprint,
      count: 2_250,
      open: 2_000,
      firstAt: '2025-01-01T00:00:09.000Z',
      lastAt: '2025-01-01T00:41:39.000Z',
    });
    expect(read).toBeLessThan(6 * countedSkips);
  });

  test('come by the page in the order in which they were recorded, each once', async () => {
    const { read, found: first } = await reading((ledger) => pageOfSkips(ledger, largeInstance, {}, page));
    expect(first.skips.map(({ key }) => key)).toEqual(
      Array.from({ length: 50 }, (_, index) => String(index + 1)),
    );
    expect(read).toBeLessThan(1_000);
    const after = first.next ?? '';
    const second = await reading((ledger) => pageOfSkips(ledger, largeInstance, {}, { ...page, after }));
    expect(second.found.skips.map(({ key }) => key)).toEqual(
      Array.from({ length: 50 }, (_, index) => String(index + 51)),
    );
    expect(second.read).toBeLessThan(1_000);
  });

  test.each([
    ['a cause', { fingerprint: causes[4]?.fingerprint }, ['999', '1999', '2999']],
    ['a code', { code: 'ODD' }, ['999', '1999', '2999']],
    ['a frequent code', { code: 'NOT_FOUND' }, ['1', '2', '3']],
    ['a state', { status: 'waived' as const }, ['20', '40', '60']],
    [
      'a cause and a state',
      { fingerprint: causes[0]?.fingerprint, status: 'redriven' as const },
      ['10', '30', '50'],
    ],
    ['the beginning of a key', { keyPrefix: '2499' }, ['2499', '24990', '24991']],
    ['keys', { key: ['7', '70007'] }, ['7', '70007']],
  ])('are found by %s', async (_, filter, keys) => {
    const { read, found } = await reading((ledger) => pageOfSkips(ledger, largeInstance, filter, page));
    expect(found.skips.slice(0, 3).map(({ key }) => key)).toEqual(keys);
    expect(read).toBeLessThan(2_500);
  });

  test('are known by their keys', async () => {
    const { read, found } = await reading((ledger) =>
      keysNeverSkipped(ledger, largeInstance, { key: ['17', 'seventeen'] }),
    );
    expect(found).toEqual(['seventeen']);
    expect(read).toBeLessThan(10);
  });
});

describe('open skips of all instances', () => {
  test('have causes', async () => {
    const { read, found } = await reading((ledger) => causesOf(ledger, undefined, {}));
    // The first two are as frequent as anybody counts.
    expect(found.map(({ code }) => code).toSorted()).toEqual(causes.map(({ code }) => code).toSorted());
    expect(read).toBeLessThan(4 * countedSkips);
  });

  test.each([
    ['the first', {}, ['1', '2', '3']],
    ['a cause', { fingerprint: causes[4]?.fingerprint }, ['999', '1999', '2999']],
    ['a code', { code: 'CONFLICT' }, ['961', '962', '963']],
    ['the beginning of a key', { keyPrefix: '2499' }, ['2499', '24991', '24992']],
  ])('are found by %s', async (_, filter, keys) => {
    const { read, found } = await reading((ledger) =>
      pageOfSkips(ledger, undefined, { ...filter, status: 'open' }, page),
    );
    expect(found.skips.slice(0, 3).map(({ key }) => key)).toEqual(keys);
    expect(read).toBeLessThan(5_000);
  });
});

describe('instances', () => {
  test.each([
    ['all', {}, largeInstance],
    ['a job', { job: 'monthly' }, 'nightly:day=9997'],
    ['a state', { status: 'stopped' as const }, 'nightly:day=9999'],
    ['a day', { from: '2025-02-01T00:00:00Z', until: '2025-02-02T00:00:00Z' }, 'nightly:day=767'],
  ])('are found by %s, the last one first', async (_, filter, first) => {
    const { read, found } = await reading((ledger) => pageOfInstances(ledger, filter, page));
    expect(found.instances[0]?.instance).toBe(first);
    expect(read).toBeLessThan(1_000);
  });

  test('are found by a text, each on one page', async () => {
    const seen: string[] = [];
    for (let after: string | null = null; ;) {
      const { instances, next } = await reading((ledger) =>
        pageOfInstances(ledger, { text: 'day=99' }, { ...page, after: after ?? undefined }),
      ).then(({ found }) => found);
      seen.push(...instances.map(({ instance }) => instance));
      if (next === null) break;
      after = next;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe(111);
  });

  test('are known by the workflow that ran them', async () => {
    const { read, found } = await reading((ledger) => findOriginalKey(ledger, 'nightly:day=77'));
    expect(found).toBe('nightly:day=77');
    expect(read).toBeLessThan(10);
    const committed = await reading((ledger) => committedBy(ledger, [largeInstance, 'nightly:day=77']));
    expect(committed.found.get(largeInstance)?.written).toBe(4_500_000);
    // Once for all steps and once for the open one; rows that are found by a bitmap count twice.
    expect(committed.read).toBeLessThan(4.1 * size.partitions);
  });

  test('have no dead letters', async () => {
    const { read, found } = await reading((ledger) => pageOfDeadLetters(ledger, undefined, page));
    expect(found).toEqual({ letters: [], next: null });
    expect(read).toBe(0);
  });

  test('are foretold to a prune, which looks up each by itself', async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    onTestFinished(() => pool.end());
    const readOneByOne = async () => {
      await pool.query('select pg_stat_force_next_flush()');
      const { rows } = await pool.query<{ read: string }>(
        "select seq_tup_read as read from pg_stat_user_tables where relname in ('skip', 'checkpoint') order by relname",
      );
      return rows;
    };
    const before = await readOneByOne();
    const pruned = await wouldPrune(new Ledger(pool), { olderThanDays: 0, keep: 0, auditOlderThanDays: 0 });
    expect(pruned).toMatchObject({ partitions: 0, skips: 0 });
    expect(pruned.instances).toBeGreaterThan(1_000);
    expect(await readOneByOne()).toEqual(before);
  });
});
