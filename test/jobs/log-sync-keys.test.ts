import { beforeEach, expect, test } from 'vitest';
import { asIfCopiedLater, logSyncs } from '../support/log-syncs.ts';
import { stepOf } from '../support/runs.ts';
import { useShop } from '../support/shop.ts';

/** Keys whose type takes differently written values for one, in tables that are followed in the log of their source. */

const shop = useShop({ ownServers: true });

const { empty, onBoth, sync } = logSyncs(() => shop);

beforeEach(empty);

interface LooseType {
  readonly name: string;
  readonly type: string;
  /** Of the sink, where it is another one. */
  readonly sink?: string;
  /** One value, written in two ways. */
  readonly written: readonly [string, string];
}

const types: readonly LooseType[] = [
  { name: 'number', type: 'numeric', written: ['1.0', '1.00'] },
  { name: 'rounded', type: 'numeric', sink: 'numeric(10, 2)', written: ['1.0', '1.00'] },
  { name: 'as_text', type: 'numeric', sink: 'text', written: ['1.0', '1.00'] },
  { name: 'time_span', type: 'interval', written: ['1 day', '24:00:00'] },
  { name: 'document', type: 'jsonb', written: ['{"a": 1.0}', '{"a": 1.00}'] },
  { name: 'float', type: 'double precision', written: ['0', '-0'] },
  { name: 'folded', type: 'text COLLATE shop.folded', written: ['a', 'A'] },
  { name: 'domain', type: 'shop.folded_text', written: ['a', 'A'] },
  { name: 'padded', type: 'bpchar', written: ['a', 'a  '] },
  { name: 'span', type: 'numrange', written: ['[1.0,2)', '[1.00,2)'] },
  { name: 'list', type: 'numeric[]', written: ['{1.0}', '{1.00}'] },
  { name: 'pair', type: 'shop.two_parts', written: ['(1.0,)', '(1.00,)'] },
];

/** What is done to rows that are all written in the first way: to each by its number. */
function changesOf(table: string, [first, other]: LooseType['written']): string {
  const rewrite = (number: number, to: string) =>
    `UPDATE ${table} SET key = '${to}' WHERE number = ${number}`;
  const remove = (number: number) => `DELETE FROM ${table} WHERE number = ${number}`;
  const insert = (number: number, written: string) =>
    `INSERT INTO ${table} VALUES (${number}, '${written}', 'again')`;
  return [
    rewrite(1, other),
    `BEGIN; ${remove(2)}; ${insert(2, other)}; COMMIT`,
    `${rewrite(3, other)}; ${rewrite(3, first)}`,
    `${rewrite(4, other)}; ${remove(4)}`,
    `${remove(5)}; ${insert(5, other)}`,
    `${insert(20, first)}; ${rewrite(20, other)}; UPDATE ${table} SET note = 'last' WHERE number = 20`,
    `UPDATE ${table} SET large = repeat('large', 1000) WHERE number = 6; ${rewrite(6, other)}`,
    rewrite(7, other),
    `UPDATE ${table} SET number = 80, key = '${other}' WHERE number = 8`,
    `${remove(9)}; ${insert(9, other)}; ${remove(9)}; ${insert(9, first)}`,
  ].join('; ');
}

/** A transaction of more changes than are taken together, with what is done to each table before and after them. */
function largeChanges(): string {
  const each = (change: (table: string, written: LooseType['written']) => string) =>
    types.map((one) => change(nameOf(one), one.written)).join('; ');
  return `BEGIN;
    ${each((table, [, other]) => `DELETE FROM ${table} WHERE number = 10; UPDATE ${table} SET key = '${other}' WHERE number = 11`)};
    INSERT INTO shop.many SELECT generate_series(1, 2500);
    ${each(
      (table, [first, other]) =>
        `INSERT INTO ${table} VALUES (10, '${other}', 'again'); UPDATE ${table} SET key = '${first}' WHERE number = 11`,
    )};
    DELETE FROM shop.many; COMMIT`;
}

const emptied = (table: string, [first, other]: LooseType['written']) =>
  `BEGIN; UPDATE ${table} SET key = '${other}'; TRUNCATE ${table} CASCADE; INSERT INTO ${table} VALUES (1, '${first}');
   COMMIT; UPDATE ${table} SET key = '${other}'`;

const eachTable = (change: typeof emptied) => types.map((one) => change(nameOf(one), one.written));

const nameOf = ({ name }: LooseType) => `shop.${name}`;

async function makeTables(): Promise<void> {
  await onBoth(`CREATE COLLATION shop.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE DOMAIN shop.folded_text AS text COLLATE shop.folded; CREATE TYPE shop.two_parts AS (one numeric, two int);
    CREATE TABLE shop.many (id int PRIMARY KEY)`);
  const { service, migration } = shop.stores;
  for (const one of types) {
    const make = (type: string) =>
      `CREATE TABLE ${nameOf(one)} (number int, key ${type}, note text, large text, PRIMARY KEY (number, key));
       ALTER TABLE ${nameOf(one)} ALTER large SET STORAGE EXTERNAL`;
    await service.query(make(one.type));
    await migration.query(make(one.sink ?? one.type));
    await service.query(
      `INSERT INTO ${nameOf(one)} SELECT n, '${one.written[0]}', 'first', CASE n WHEN 7 THEN repeat('large', 1000) END
         FROM generate_series(1, 12) AS n`,
    );
  }
  // What refers to a key refers to the value, however it is written.
  for (const table of ['shop.number', 'shop.folded'])
    await onBoth(`CREATE TABLE ${table}_child (id int PRIMARY KEY, parent int, key ${table === 'shop.number' ? 'numeric' : 'text COLLATE shop.folded'},
      FOREIGN KEY (parent, key) REFERENCES ${table})`);
  await service.query(`INSERT INTO shop.number_child VALUES (1, 1, '1.0'), (3, 3, '1.0');
    INSERT INTO shop.folded_child VALUES (1, 1, 'a'), (3, 3, 'a')`);
}

/** What source and sink have, by the name of each table. */
async function both(): Promise<readonly [source: object, sink: object]> {
  const { service, migration } = shop.stores;
  const found = [service, migration].map(async (pool) => {
    const tables: Record<string, string[]> = {};
    for (const one of types) {
      // A sink that writes all values in one way has its own.
      const key = one.sink === undefined || one.sink === 'text' ? 'key::text' : `''`;
      const { rows } = await pool.query<{ row: string }>(
        `SELECT concat_ws(' ', number, ${key}, note, length(large)) AS row FROM ${nameOf(one)} ORDER BY number, 1`,
      );
      tables[one.name] = rows.map(({ row }) => row);
    }
    return tables;
  });
  return [await (found[0] ?? {}), await (found[1] ?? {})];
}

test.for<[string, () => Promise<void>]>([
  ['is of one moment', () => Promise.resolve()],
  ['is of several moments', () => asIfCopiedLater(shop.stores)],
])('where the sink %s, a key that is only written otherwise keeps its row', async ([, mark]) => {
  await makeTables();
  const tables = ['shop.*'];
  await sync({ tables });
  for (const changes of [eachTable(changesOf), [largeChanges()], eachTable(emptied)]) {
    for (const change of changes) await shop.stores.service.query(change);
    await mark();
    const report = await sync({ tables });
    expect([report.status, stepOf(report, 'copy').read]).toEqual(['completed', 0]);
    const [source, sink] = await both();
    expect(sink).toEqual(source);
  }
});
