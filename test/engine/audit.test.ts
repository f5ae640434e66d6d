import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AuditEntry } from '../../packages/keystride/src/contract/audit.ts';
import {
  type AuditFilter,
  enterChange,
  type EnteredChange,
  readAudit,
} from '../../packages/keystride/src/ledger/audit.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { forgetStream, rewindStream } from '../../packages/keystride/src/ledger/streams.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
let ledger: Ledger;

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 2);
  ledger = new Ledger(pool);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(() => pool.query('truncate keystride.audit, keystride.stream_offset cascade'));

const anna = { by: { operator: 'anna', from: 'console' }, reason: 'to try it' } as const;

async function read(filter: AuditFilter = {}, limit = 100): Promise<EnteredChange[]> {
  return readAudit(ledger, filter, { limit });
}

test('two entries of one source are one, and the first stays', async () => {
  const entry: AuditEntry = { ...anna, action: 'pause', workflowId: 'w', source: 'run/update' };
  await enterChange(ledger, entry);
  await enterChange(ledger, { ...entry, reason: 'again' });
  await enterChange(ledger, { ...entry, source: 'run/another' });
  expect((await read()).map(({ reason }) => reason)).toEqual(['to try it', 'to try it']);
});

test('texts that PostgreSQL does not keep, and endless ones, are entered as it can', async () => {
  const odd = 'half \uD83D, zero \0';
  await enterChange(ledger, {
    ...{ action: 'pause', by: { operator: odd.repeat(40), from: 'temporal' }, reason: odd.repeat(1000) },
    ...{ before: { note: odd }, after: {}, subject: odd },
  });
  const [entry] = await read();
  expect(entry?.before).toEqual({ note: 'half \uFFFD, zero \u2400' });
  expect(Buffer.byteLength(entry?.reason ?? '')).toBeLessThan(3000);
  expect(Buffer.byteLength(entry?.operator ?? '')).toBeLessThan(300);
});

test('pages follow each other by key, newest first, also among entries of one moment', async () => {
  await pool.query(
    `insert into keystride.audit (at, operator, origin, action, before, after, instance_key)
     select '2025-10-01', 'anna', 'command', 'pause', '{}', jsonb_build_object('n', n), 'i' from generate_series(1, 25) as n`,
  );
  for (const ids of [undefined, ['i']]) {
    const seen: unknown[] = [];
    let after: string | undefined;
    do {
      const page = await readAudit(ledger, { ids }, { limit: 10, after });
      seen.push(...page.map((entry) => entry.after['n']));
      after = page.length === 10 ? page.at(-1)?.key : undefined;
    } while (after !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => 25 - index));
  }
});

test('an entry is found by its instance, its workflow, its schedule and its stream', async () => {
  await enterChange(ledger, { ...anna, action: 'pause', instance: 'same', workflowId: 'same' });
  await enterChange(ledger, { ...anna, action: 'stop', instance: 'other', workflowId: 'same' });
  await enterChange(ledger, { ...anna, action: 'schedule pause', subject: 'same' });
  await enterChange(ledger, { ...anna, action: 'tune', instance: 'other', workflowId: 'other' });
  expect((await read({ ids: ['same'] })).map(({ action }) => action)).toEqual([
    'schedule pause',
    'stop',
    'pause',
  ]);
  expect(await read({ ids: ['same'], action: 'stop', operator: 'anna' })).toHaveLength(1);
  expect(await read({ since: new Date(Date.now() + 3_600_000).toISOString() })).toEqual([]);
});

test('a rewind and a forgotten stream are entered with the offset that was', async () => {
  await pool.query(
    `insert into keystride.stream_offset (stream, cursor, source, key) values ('s', '["7"]', 't', '["id"]')`,
  );
  await rewindStream(ledger, 's', null, anna);
  await forgetStream(ledger, 's', anna);
  // What is not there is not forgotten again.
  await forgetStream(ledger, 's', anna);
  expect(await read({ ids: ['s'] })).toMatchObject([
    { action: 'sync forget', before: { cursor: null }, after: {}, operator: 'anna', from: 'console' },
    { action: 'sync rewind', before: { cursor: ['7'] }, after: { cursor: null }, reason: 'to try it' },
  ]);
});

test('a page reads about as many rows as it shows, however many there are', async () => {
  await pool.query(
    `insert into keystride.audit (at, operator, origin, action, before, after, instance_key, workflow_id)
     select now() - make_interval(secs => n), 'operator ' || n % 100, 'command', 'pause', '{}', '{}', 'i' || n % 1000, 'i' || n % 1000
       from generate_series(1, 50000) as n`,
  );
  await pool.query('vacuum analyze keystride.audit');
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
  const filters: AuditFilter[] = [
    {},
    { ids: ['i7'] },
    { operator: 'operator 7' },
    { action: 'pause' },
    { action: 'stop' },
    { since: hourAgo, operator: 'nobody' },
    { ids: ['nothing'] },
  ];
  for (const filter of filters)
    expect(await rowsReadBy(() => read(filter, 20)), JSON.stringify(filter)).toBeLessThan(200);
});

async function rowsReadBy(work: () => Promise<unknown>): Promise<number> {
  const before = await rowsRead();
  await work();
  return (await rowsRead()) - before;
}

/** Rows of the audit that were read by now, in whatever way. A backend tells of them when it is asked to. */
async function rowsRead(): Promise<number> {
  const clients = await Promise.all([pool.connect(), pool.connect()]);
  for (const client of clients) {
    await client.query('select pg_stat_force_next_flush()');
    client.release();
  }
  const { rows } = await pool.query<{ rows: string }>(
    `select seq_tup_read + idx_tup_fetch as rows from pg_stat_user_tables where relname = 'audit'`,
  );
  return Number(rows[0]?.rows);
}
