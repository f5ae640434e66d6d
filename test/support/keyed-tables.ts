import fc from 'fast-check';
import type pg from 'pg';

interface KeyType {
  readonly source: string;
  readonly sink: string;
  /** Values that differ for both sides, as both write them. */
  readonly values: readonly string[];
}

const words = 'a|A|b|ab|Z|ä|é|ß|x,y|x|y,z|,|\\|\\,|"|10|9|-|_| ||😀|null|a b'.split('|');
const numbers = ['-3', '-2', '0', '1', '2', '7', '9', '10', '11', '100', '2000', '30000'];
const days = '0044-03-15 BC|1999-12-31|2000-01-01|2025-10-26|2025-03-30|infinity|-infinity'.split('|');
const caseless = ['a', 'B', 'c', 'D', 'ä', 'Z', 'x,y', 'y', '1', '10', '9', '', '_'];
const uuids = Array.from(
  { length: 14 },
  (_, n) => `${(n * 37).toString(16).padStart(8, '0')}-0000-4000-8000-${'0'.repeat(11)}${n.toString(16)}`,
);

const keyTypes: readonly KeyType[] = [
  { source: 'text COLLATE "C"', sink: 'text COLLATE "C"', values: words },
  { source: 'text COLLATE "en-x-icu"', sink: 'text COLLATE "C"', values: words },
  { source: 'text', sink: 'text COLLATE "und-x-icu"', values: words },
  { source: 'text COLLATE shop.numeric', sink: 'varchar(9) COLLATE "de-x-icu"', values: words },
  { source: 'text COLLATE shop.caseless', sink: 'text COLLATE shop.caseless', values: caseless },
  { source: 'shop.word', sink: 'text', values: words },
  { source: 'char(4)', sink: 'char(6)', values: ['a', 'A', 'ab', 'b', 'Z', 'x,y', '10', '9', 'ä'] },
  { source: '"char"', sink: '"char"', values: ['a', 'A', 'b', 'Z', '0', '9', '-', '', '\\377'] },
  { source: 'int', sink: 'bigint', values: numbers },
  { source: 'bigint', sink: 'int', values: numbers },
  { source: 'numeric', sink: 'numeric', values: [...numbers, '1.5', '-0.001', 'NaN'] },
  { source: 'float8', sink: 'float8', values: [...numbers, '0.1', '1e+300', 'Infinity', 'NaN'] },
  { source: 'uuid', sink: 'uuid', values: uuids },
  { source: 'date', sink: 'date', values: days },
  { source: 'shop.size', sink: 'shop.size', values: ['s', 'm', 'l', 'xl', 'x l', 'a,b'] },
];

const damage = fc.constantFrom('none', 'none', 'none', 'none', 'missing', 'different', 'extra');

/** Two tables with a key of any types, and what is wrong with the rows of the second. */
export const tables = fc.array(fc.constantFrom(...keyTypes), { minLength: 1, maxLength: 3 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    rows: fc.uniqueArray(
      fc.record({
        key: fc.tuple(...types.map(({ values: of }) => fc.constantFrom(...of))),
        content: fc.constantFrom(null, '', 'a', 'b', '(a)', '","'),
        damage,
      }),
      { maxLength: 150, selector: ({ key }) => JSON.stringify(key) },
    ),
    limit: fc.constantFrom(1, 7, 100, 1000),
  }),
);

/** Makes table shop.k with such a key. */
export async function make(pool: pg.Pool, side: 'source' | 'sink', types: readonly KeyType[]): Promise<void> {
  const sizes = side === 'source' ? `'s', 'm', 'l', 'xl', 'x l', 'a,b'` : `'x l', 'a,b', 'xl', 'l', 'm', 's'`;
  await pool.query(`DROP TABLE IF EXISTS shop.k, shop.removed; DROP TYPE IF EXISTS shop.size; DROP DOMAIN IF EXISTS shop.word;
    CREATE TYPE shop.size AS ENUM (${sizes}); CREATE DOMAIN shop.word AS text COLLATE "en-x-icu";
    CREATE TABLE shop.k (${types.map((type, index) => `k${index} ${type[side]}`).join(', ')}, content text,
      PRIMARY KEY (${types.map((_, index) => `k${index}`).join(', ')}))`);
}

/** Fills it with rows as texts. */
export async function fill(pool: pg.Pool, rows: readonly (readonly (string | null)[])[]): Promise<void> {
  if (rows.length === 0) return;
  const columns = rows[0]?.map((_, index) => `k${index}`) ?? [];
  const { rows: fields } = await pool.query<{ type: string }>(
    `SELECT format_type(atttypid, -1) AS type FROM pg_attribute WHERE attrelid = 'shop.k'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  await pool.query(
    `INSERT INTO shop.k SELECT ${columns.map((name, index) => `${name}::${fields[index]?.type}`).join(', ')}
       FROM unnest(${columns.map((_, index) => `$${index + 1}::text[]`).join(', ')}) AS given (${columns.join(', ')})`,
    columns.map((_, index) => rows.map((row) => row[index] ?? null)),
  );
  // As a server does by itself: what is known of the values is made use of.
  await pool.query('ANALYZE shop.k');
}
