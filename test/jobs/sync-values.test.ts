import { expect, test } from 'vitest';
import type { VerificationReport } from '../../packages/keystride/src/contract/verification.ts';
import { run, startVerification } from '../support/runs.ts';
import { emptyShop, onBothSides, useShop } from '../support/shop.ts';

const shop = useShop();

const types = `
  CREATE DOMAIN shop.spot AS point;
  CREATE TYPE shop.plain AS (amount numeric, at timestamp, word text);
  CREATE TYPE shop.narrow AS (amount numeric(10,2), at timestamp(0), word name);
  CREATE TYPE shop.double_range AS RANGE (subtype = float8);
  CREATE TYPE shop.single_range AS RANGE (subtype = float4)`;

const refused = null;
const long = '0.1234567890123456789';

/** What the sink's type would make of a value, without a word: sorted, rounded, cut, read in part. Each is a row. */
const values: readonly (readonly [from: string, to: string, value: string, arrives: string | null])[] = [
  ['text', 'tsvector', 'fat cat fat', refused],
  ['text', 'tsvector', 'x:70000', refused],
  ['text', 'tsvector', `'a':1 'b':2`, `'a':1 'b':2`],
  ['text', 'tsquery', 'a & b', `'a' & 'b'`],
  ['text', 'tsquery', 'a b', refused],
  ['text', 'point', `(${long},2)`, refused],
  ['text', 'point', '(0.1,2)', '(0.1,2)'],
  ['text', 'shop.spot', `(${long},2)`, refused],
  ['text', 'box', '(1,2),(3,4)', refused],
  ['text', 'box', '(3,4),(1,2)', '(3,4),(1,2)'],
  ['text', 'lseg', `[(${long},2),(3,4)]`, refused],
  ['text', 'line', '(1,2),(3,4)', refused],
  ['text', 'path', `[(1,2),(${long},4)]`, refused],
  ['text', 'circle', `<(1,2),${long}>`, refused],
  ['box', 'polygon', '(3,4),(1,2)', refused],
  ['json[]', 'jsonb[]', String.raw`{"{\"a\":1,\"a\":2}"}`, refused],
  ['json[]', 'jsonb[]', String.raw`{"{\"a\": 1}",NULL}`, String.raw`{"{\"a\": 1}",NULL}`],
  ['text[]', 'jsonb[]', String.raw`{"{\"a\":1,\"a\":2}"}`, refused],
  ['text', 'jsonb[]', String.raw`{"{\"a\":1,\"a\":2}"}`, refused],
  ['numeric', 'money', '1.25', '$1.25'],
  ['numeric', 'money', '1.255', refused],
  ['int', 'money', '-5', '-$5.00'],
  ['text', 'money', '1,25', refused],
  ['text', 'money', '$1,000.25', '$1,000.25'],
  ['double precision', 'numeric', '-0', refused],
  ['double precision[]', 'numeric[]', '{1,-0}', refused],
  ['double precision', 'numeric', '0.1', '0.1'],
  ['text', 'interval', '0.1 years', refused],
  ['text', 'interval', 'P1.5M', refused],
  ['text', 'interval', '1.5 hours', '01:30:00'],
  ['text', 'interval', 'PT1.5M', '00:01:30'],
  ['text', 'date', '04/03/2025', refused],
  ['text', 'date', '4.3.2025', refused],
  ['text', 'date', '2025-03-04', '2025-03-04'],
  ['text', 'timestamptz', '04-03-2025 10:00+00', refused],
  ['text', 'timestamptz', '2025-03-04 10:00-05', '2025-03-04 15:00:00+00'],
  ['text', 'timetz', '2025-07-01 10:00 America/New_York', refused],
  ['text', 'timetz', '10:00:00.5+09:30', '10:00:00.5+09:30'],
  ['text', 'daterange', '[2025-01-01 10:00,2025-01-02)', refused],
  ['text', 'daterange', '[2025-01-01,2025-01-02)', '[2025-01-01,2025-01-02)'],
  ['text', 'tsrange', '[2025-01-01 10:00+09,)', refused],
  ['text', 'tstzrange', '[now,)', refused],
  ['text', 'datemultirange', '{[2025-01-01 10:00,2025-01-02)}', refused],
  ['shop.double_range', 'shop.single_range', '[0.30000000000000004,1)', refused],
  ['shop.double_range', 'shop.single_range', '[0.5,1)', '[0.5,1)'],
  ['shop.plain', 'shop.narrow', '(1.005,,)', refused],
  ['shop.plain', 'shop.narrow', '(,"2025-01-01 00:00:00.6",)', refused],
  ['shop.plain', 'shop.narrow', `(,,${'x'.repeat(70)})`, refused],
  ['shop.plain', 'shop.narrow', '(1.50,"2025-01-01 00:00:00",x)', '(1.50,"2025-01-01 00:00:00",x)'],
  ['shop.plain[]', 'shop.narrow[]', '{"(1.005,,)"}', refused],
  ['text', 'name[]', `{${'x'.repeat(70)}}`, refused],
  ['text', 'oid', '-1', refused],
  ['text', 'oid', '4294967295', '4294967295'],
  ['text', 'xid', '-1', refused],
  ['text', 'macaddr8', '08:00:2b:01:02:03', refused],
  ['text', 'macaddr8', '08:00:2b:01:02:03:04:05', '08:00:2b:01:02:03:04:05'],
];

const pairs = [...new Set(values.map(([from, to]) => `${from} > ${to}`))];
const columnOf = ([from, to]: readonly [string, string, ...unknown[]]) =>
  `c${pairs.indexOf(`${from} > ${to}`)}`;

test('a value arrives as it is, or its row is a skip that verify finds missing', async () => {
  await emptyShop(shop.stores);
  await onBothSides(shop.stores, types);
  const table = (side: 0 | 1) =>
    `CREATE TABLE shop.value (id int PRIMARY KEY, ${pairs.map((pair, index) => `c${index} ${pair.split(' > ')[side]}`).join(', ')})`;
  await shop.stores.service.query(table(0));
  await shop.stores.migration.query(table(1));
  for (const [id, value] of values.entries())
    await shop.stores.service.query(`INSERT INTO shop.value (id, ${columnOf(value)}) VALUES ($1, $2)`, [
      id,
      value[2],
    ]);
  const parameters = { source: 'shop.value', partitions: 1 };
  await run(shop.world, 'tableSync', parameters);
  const { rows } = await shop.stores.migration.query<Record<string, string | null> & { id: number }>(
    `SELECT id, ${pairs.map((_, index) => `c${index}::text`).join(', ')} FROM shop.value`,
  );
  const there = new Map(rows.map((row) => [row.id, row]));
  const told = (arrived: (id: number) => string | null | undefined) =>
    values.map(([from, to, value], id) => `${value} of ${from} in ${to}: ${arrived(id) ?? 'refused'}`);
  expect(told((id) => there.get(id)?.[columnOf(values[id] ?? ['', ''])])).toEqual(
    told((id) => values[id]?.[3]),
  );
  const handle = await startVerification(shop.world, { job: 'tableSync', parameters });
  const report = (await handle.result()) as VerificationReport;
  const missing = values.flatMap(([, , , arrives], id) =>
    arrives === refused ? [`key ${id}: missing`] : [],
  );
  expect(report).toMatchObject({ compared: values.length, differences: missing.length });
  expect(report.examples).toEqual(missing.slice(0, report.examples.length));
});
