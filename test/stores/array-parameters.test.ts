import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase('source');
  pool = createPool(database.url, 'keystride test', 2);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

test('an array of texts arrives as it is, whatever the texts hold', async () => {
  const troublesome = fc.constantFrom(
    '',
    ' ',
    'NULL',
    'null',
    '{}',
    '{a}',
    'a,b',
    '","',
    '"',
    '\\',
    '\\"',
    "'",
    '\n',
  );
  const text = fc.oneof(troublesome, fc.string({ unit: 'binary' }).filter(isStorable));
  const element = fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: fc.constant(null) });
  await fc.assert(
    fc.asyncProperty(fc.array(element), async (texts) => {
      const arrived = await inTransaction(pool, async (transaction) => {
        const { rows } = await transaction.query<{ text: string | null }>(
          'SELECT text FROM unnest($1::text[]) WITH ORDINALITY AS part (text, place) ORDER BY place',
          [texts],
        );
        return rows.map(({ text: value }) => value);
      });
      expect(arrived).toEqual(texts);
    }),
  );
});

/** No text of PostgreSQL's holds a NUL, and half a character has no UTF-8. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}
