/** A table of the source and its copy, `shop.k`, and what a comparison of the two tells. */
interface Case {
  readonly what: string;
  readonly source: string;
  readonly sink: string;
  readonly told: readonly string[];
}

/** Two columns of one row, `id` 1: which of them differ is told by what is said of key 1. */
const values = (what: string, [source, from]: string[], [sink, to]: string[], same: boolean): Case => ({
  what,
  source: `CREATE TABLE shop.k (id int PRIMARY KEY, v ${source}); INSERT INTO shop.k VALUES (1, ${from})`,
  sink: `CREATE TABLE shop.k (id int PRIMARY KEY, v ${sink}); INSERT INTO shop.k VALUES (1, ${to})`,
  told: same ? [] : ['1: different'],
});

const onBoth = (what: string, table: string, from: string, to: string, ...differ: string[]): Case => ({
  what,
  source: `${table}; INSERT INTO shop.k VALUES ${from}`,
  sink: `${table}; INSERT INTO shop.k VALUES ${to}`,
  told: differ,
});

/** What a comparison must tell apart, and what it must not: keys, names of columns, types on both sides. */
export const comparisonCases: readonly Case[] = [
  onBoth(
    'texts with commas in a key of two',
    'CREATE TABLE shop.k (a text, b text, v text, PRIMARY KEY (a, b))',
    `('x', 'y,z', 'right'), ('x,y', 'z', 'same'), ('x\\', ',', 'there')`,
    `('x', 'y,z', 'wrong'), ('x,y', 'z', 'same'), ('x', '\\,', 'there')`,
    ...['x,\\\\\\,: extra', 'x,y\\,z: different', 'x\\\\,\\,: missing'],
  ),
  ...[
    'compared',
    'keystride_compared',
    'keystride_hash',
    'found',
    'price.eur',
    'It"s',
    '%',
    'keystride_key_0',
  ].map((name) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    return onBoth(
      `a column called ${name}`,
      `CREATE TABLE shop.k (id text COLLATE "en-x-icu" PRIMARY KEY, ${quoted} boolean, amount int)`,
      `('1', true, 100)`,
      `('1', true, 999)`,
      '1: different',
    );
  }),
  onBoth(
    'a key column called price.eur',
    'CREATE TABLE shop.k ("price.eur" int PRIMARY KEY, v text)',
    `(1, 'a'), (2, 'b')`,
    `(1, 'b'), (3, 'b')`,
    ...['1: different', '2: missing', '3: extra'],
  ),
  onBoth(
    'null and an empty text',
    'CREATE TABLE shop.k (id int PRIMARY KEY, v text, w text)',
    `(1, '', null)`,
    `(1, null, '')`,
    '1: different',
  ),
  values('a domain that cuts', ['text', `'abcdefgh'`], ['shop.code', `'abc'`], false),
  values('char(n) pads and does not differ', ['text', `'ab'`], ['char(5)', `'ab'`], true),
  values('char(n) cuts', ['text', `'abcdef'`], ['char(5)', `'abcde'`], false),
  values('name cuts', ['text', `repeat('x', 70)`], ['name', `repeat('x', 63)`], false),
  values('1.0 and 1.00', ['numeric', '1.0'], ['numeric(10,2)', '1.00'], true),
  values('a scale that rounds', ['numeric', '1.005'], ['numeric(10,2)', '1.01'], false),
  values('an array of a scale', ['numeric[]', `'{1.0,2}'`], ['numeric(10,2)[]', `'{1.00,2.00}'`], true),
  values(
    'an array of a scale that rounds',
    ['numeric[]', `'{1.005}'`],
    ['numeric(10,2)[]', `'{1.01}'`],
    false,
  ),
  values('an array of a length that cuts', ['text[]', `'{abcdef}'`], ['varchar(3)[]', `'{abc}'`], false),
  values('bits that are cut', ['varbit', `B'1011'`], ['varbit(2)', `B'10'`], false),
  values(
    'a precision that rounds',
    ['timestamp', `'2025-01-01 10:00:00.7'`],
    ['timestamp(0)', `'2025-01-01 10:00:01'`],
    false,
  ),
  values('an interval of hours', ['interval', `'1 day 02:03'`], ['interval hour', `'1 day 02:00'`], false),
  values('the day of a timestamp', ['timestamp', `'2025-01-01 10:00'`], ['date', `'2025-01-01'`], false),
  values('a timestamp at midnight', ['timestamp', `'2025-01-01'`], ['date', `'2025-01-01'`], true),
  values('the day of a text', ['text', `'2025-01-01 10:00'`], ['date', `'2025-01-01'`], false),
  values('a text of a day', ['text', `'Jan 1 2025'`], ['date', `'2025-01-01'`], true),
  values(
    'a text with an offset',
    ['text', `'2025-01-01 10:00+09'`],
    ['timestamp', `'2025-01-01 10:00'`],
    false,
  ),
  values('the time of a text', ['text', `'2025-01-01 10:00'`], ['time', `'10:00'`], false),
  values('a text of nanoseconds', ['text', `'10:00:00.1234567'`], ['time', `'10:00:00.123457'`], false),
  values('a text of too many digits', ['text', `'0.12345678901234567'`], ['real', '0.12345678'], false),
  values('a key twice in JSON', ['json', `'{"a":1,"a":2}'`], ['jsonb', `'{"a":2}'`], false),
  values('no value of the type', ['text', `'seven'`], ['int', '7'], false),
  values('out of the range of the type', ['bigint', '3000000000'], ['int', '7'], false),
  values('a wider integer', ['int', '7'], ['bigint', '7'], true),
  values('an enum of the sink alone', ['text', `'happy'`], ['shop.mood', `'happy'`], true),
  values('another value of such an enum', ['text', `'happy'`], ['shop.mood', `'sad'`], false),
  values('an array of such enums', ['text[]', `'{happy}'`], ['shop.mood[]', `'{happy}'`], true),
  values('a domain of the sink alone', ['int', '7'], ['shop.small', '7'], true),
  values('floats next to each other', ['float8', '0.1::float8 + 0.2'], ['float8', '0.3'], false),
  values('minus zero', ['float8', `'-0'`], ['float8', '0'], false),
  values('no number', ['float8', `'NaN'`], ['float8', `'NaN'`], true),
  values('a float of four bytes', ['real', '0.1'], ['float8', '0.1'], true),
  values('json and jsonb', ['json', `'{"b":1, "a":2}'`], ['jsonb', `'{"a":2,"b":1}'`], true),
  values('a text that looks like two', ['text[]', `'{"a,b"}'`], ['text[]', `'{a,b}'`], false),
  ...[
    ['text COLLATE "en-x-icu"', 'text COLLATE "C"'],
    ['text', 'text COLLATE shop.numeric'],
  ].map(([from, to]) => ({
    what: `a key of ${from} and of ${to}`,
    source: `CREATE TABLE shop.k (id ${from} PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '1'), ('B', '2'), ('c10', '3'), ('c9', '4')`,
    sink: `CREATE TABLE shop.k (id ${to} PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '1'), ('B', 'x'), ('c9', '4'), ('D', '5')`,
    told: ['B: different', 'D: extra', 'c10: missing'],
  })),
  {
    what: 'keys that only the source takes for one',
    source: `CREATE TABLE shop.k (id text COLLATE shop.caseless PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('A', '1')`,
    sink: `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('a', '0'), ('A', '1')`,
    told: ['a: extra'],
  },
  {
    what: 'a key of the sink that is no value of the source',
    source: `CREATE TABLE shop.k (id int PRIMARY KEY, v text); INSERT INTO shop.k VALUES (7, '1')`,
    sink: `CREATE TABLE shop.k (id text PRIMARY KEY, v text); INSERT INTO shop.k VALUES ('7', '1'), ('seven', '1')`,
    told: ['seven: extra'],
  },
  {
    what: 'an enum of another order as the key',
    source: `CREATE TYPE shop.size AS ENUM ('s', 'm', 'l'); CREATE TABLE shop.k (id shop.size PRIMARY KEY, v text);
             INSERT INTO shop.k VALUES ('s', '1'), ('m', '2'), ('l', '3')`,
    sink: `CREATE TYPE shop.size AS ENUM ('l', 'm', 's'); CREATE TABLE shop.k (id shop.size PRIMARY KEY, v text);
           INSERT INTO shop.k VALUES ('s', '1'), ('m', 'x')`,
    told: ['l: missing', 'm: different'],
  },
];
