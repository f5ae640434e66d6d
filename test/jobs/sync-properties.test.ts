import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { run } from '../support/runs.ts';
import { isDue, useShop } from '../support/shop.ts';

/**
 * Whatever is done to a source and to its sink between two incremental runs: after the next one every row of the source
 * is in the sink, as it is. Rows that were deleted are not followed.
 */

const shop = useShop({ ownServers: true });

const parts = 4;
const size = 100;

type Act =
  | { readonly act: 'insert' | 'update' | 'delete' | 'late'; readonly part: number; readonly at: number }
  | { readonly act: 'move' | 'empty' | 'full' | 'freeze'; readonly part: number }
  | { readonly act: 'column'; readonly value: number }
  | { readonly act: 'label' | 'sinkEmptied' | 'sinkAgain' | 'sinkFull' | 'commit' };

const part = fc.nat(parts - 1);
/** What makes everything be copied again hides what else was done: it is rare. */
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom('insert', 'update', 'delete', 'late'),
      part,
      at: fc.nat(size - 1),
    }),
  },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('move'), part }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('empty', 'full', 'freeze'), part }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('column'), value: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constantFrom('label', 'sinkEmptied', 'sinkAgain', 'sinkFull', 'commit'),
    }),
  },
);

/** A source of partitions that come and go, and what is done to it. */
class Play {
  readonly #attached = Array.from({ length: parts }, (_, index) => index % 2 === 0);
  readonly #open: pg.Client[] = [];
  #labels = 0;
  #hasColumn = false;

  async begin(): Promise<void> {
    await shop.stores.service.query(`
      DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('m0', 'other');
      CREATE TABLE shop.k (id int PRIMARY KEY, note text, mood shop.mood DEFAULT 'm0') PARTITION BY RANGE (id)`);
    for (let index = 0; index < parts; index++)
      await shop.stores.service.query(`
        CREATE TABLE shop.p${index} (id int PRIMARY KEY, note text, mood shop.mood);
        INSERT INTO shop.p${index} SELECT ${index * size} + n, 'first', 'm0' FROM generate_series(0, 20) AS n;
        ${this.#attached[index] ? this.#attach(index) : ''}`);
    await shop.stores.migration
      .query(`DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop; ${this.#sink()};
      TRUNCATE keystride.instance, keystride.stream_offset CASCADE`);
  }

  async end(): Promise<void> {
    for (const client of this.#open.splice(0)) {
      await client.query('COMMIT');
      await client.end();
    }
  }

  async does(act: Act): Promise<void> {
    const { service, migration } = shop.stores;
    if (act.act === 'commit') return this.end();
    // DDL would wait for whoever has written and not committed.
    if (!['insert', 'update', 'delete', 'late'].includes(act.act)) await this.end();
    switch (act.act) {
      case 'late':
        return this.#late(act.part, act.part * size + act.at);
      case 'insert':
      case 'update':
      case 'delete':
        await this.end();
        return void (await service.query(this.#change(act.act, act.part, act.part * size + act.at)));
      case 'move':
        return this.#move(act.part);
      case 'empty':
        return void (await service.query(
          `BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM shop.p${act.part};
           TRUNCATE shop.p${act.part}; INSERT INTO shop.p${act.part} SELECT * FROM kept; COMMIT`,
        ));
      case 'full':
        return void (await service.query(`VACUUM FULL shop.p${act.part}`));
      case 'freeze':
        return void (await service.query(`VACUUM (FREEZE) shop.p${act.part}`));
      case 'column':
        return this.#column(act.value);
      case 'label':
        return void (await service.query(
          `ALTER TYPE shop.mood RENAME VALUE 'm${this.#labels++}' TO 'm${this.#labels}'`,
        ));
      case 'sinkEmptied':
        return void (await migration.query('TRUNCATE shop.k'));
      case 'sinkFull':
        return void (await migration.query('VACUUM FULL shop.k'));
      case 'sinkAgain':
        return void (await migration.query(`DROP TABLE shop.k; ${this.#sink()}`));
    }
  }

  #sink(): string {
    return `CREATE TABLE shop.k (id int PRIMARY KEY, note text, mood text${this.#hasColumn ? ', tier int' : ''})`;
  }

  #attach(index: number): string {
    return `ALTER TABLE shop.k ATTACH PARTITION shop.p${index} FOR VALUES FROM (${index * size}) TO (${(index + 1) * size})`;
  }

  #change(act: 'insert' | 'update' | 'delete', index: number, id: number): string {
    if (act === 'delete') return `DELETE FROM shop.p${index} WHERE id = ${id}`;
    if (act === 'update') return `UPDATE shop.p${index} SET note = note || '.' WHERE id >= ${id}`;
    return `INSERT INTO shop.p${index} (id, note) VALUES (${id}, 'new') ON CONFLICT DO NOTHING`;
  }

  async #late(index: number, id: number): Promise<void> {
    await this.end();
    const client = new pg.Client({ connectionString: shop.world.sourceDatabaseUrl });
    await client.connect();
    await client.query('BEGIN');
    await client.query(this.#change('insert', index, id));
    this.#open.push(client);
  }

  async #move(index: number): Promise<void> {
    await shop.stores.service.query(
      this.#attached[index] ? `ALTER TABLE shop.k DETACH PARTITION shop.p${index}` : this.#attach(index),
    );
    this.#attached[index] = !this.#attached[index];
  }

  async #column(value: number): Promise<void> {
    // A partition that is not one at the moment must have the same columns when it comes back.
    const tables = ['k', ...this.#attached.flatMap((attached, index) => (attached ? [] : [`p${index}`]))];
    for (const table of tables)
      await shop.stores.service.query(
        `ALTER TABLE shop.${table} DROP COLUMN IF EXISTS tier, ADD tier int DEFAULT ${value}`,
      );
    await shop.stores.migration.query('ALTER TABLE shop.k ADD COLUMN IF NOT EXISTS tier int');
    this.#hasColumn = true;
  }
}

const rowsOf = async (pool: pg.Pool): Promise<string[]> => {
  const { rows } = await pool.query<{ row: string }>('SELECT to_jsonb(k)::text AS row FROM shop.k');
  return rows.map(({ row }) => row);
};

let runs = 0;

async function missing(): Promise<string[]> {
  const there = new Set(await rowsOf(shop.stores.migration));
  return (await rowsOf(shop.stores.service)).filter((row) => !there.has(row));
}

async function syncAndCompare(): Promise<void> {
  const parameters = { source: 'shop.k', mode: 'incrementing', partitions: 2, run: (runs += 1) };
  if (!(await isDue(shop.stores, parameters)))
    expect(await missing(), 'a run is not due, and would find these').toEqual([]);
  const report = await run(shop.world, 'tableSync', parameters);
  expect(report.status).toBe('completed');
  expect(await missing()).toEqual([]);
}

test(
  'every row of the source is in the sink after a run, whatever was done between two',
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(acts, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 5 }),
        async (rounds) => {
          const play = new Play();
          await play.begin();
          try {
            await syncAndCompare();
            for (const round of rounds) {
              for (const act of round) await play.does(act);
              await syncAndCompare();
            }
            await play.end();
            await syncAndCompare();
          } finally {
            await play.end();
          }
        },
      ),
      { numRuns: 8, endOnFailure: true },
    );
  },
);
