import fc from 'fast-check';

/** Any value of a type, as a text that PostgreSQL reads under its own settings; the extremes are among them. */
export type ArbitraryText = fc.Arbitrary<string>;

const oneOf = (...texts: string[]): ArbitraryText => fc.constantFrom(...texts);

const integer = (bits: bigint): ArbitraryText =>
  fc.oneof(
    fc.bigInt(-(2n ** bits), 2n ** bits - 1n).map(String),
    oneOf('0', String(-(2n ** bits)), String(2n ** bits - 1n)),
  );

const digits = (most: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${most}}$`, 'u'));

const numeric = fc.oneof(
  fc.tuple(oneOf('', '-'), digits(300), digits(100)).map(([sign, whole, part]) => `${sign}${whole}.${part}`),
  oneOf('NaN', 'Infinity', '-Infinity', '0', '1.000', '1e-1000', '-9e10000'),
);

const special = oneOf(
  'NaN',
  'Infinity',
  '-Infinity',
  '-0',
  '5e-324',
  '1.7976931348623157e308',
  '0.30000000000000004',
);
const double: ArbitraryText = fc.oneof(special, fc.double({ noNaN: true }).map(String));
const single: ArbitraryText = fc.oneof(
  oneOf('NaN', 'Infinity', '-0', '1e-45', '3.4028235e38', '0.1'),
  fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
);

const two = (number: number) => String(number).padStart(2, '0');
const month = fc.integer({ min: 1, max: 12 });
const dayOfMonth = fc.integer({ min: 1, max: 28 });
const micros = fc.integer({ min: 0, max: 999_999 }).map((part) => String(part).padStart(6, '0'));

const clock = fc
  .tuple(
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 59 }),
    micros,
  )
  .map(([hours, minutes, seconds, part]) => `${two(hours)}:${two(minutes)}:${two(seconds)}.${part}`);

const dayOf = (latest: number) =>
  fc
    .tuple(fc.integer({ min: 1, max: latest }), month, dayOfMonth, fc.boolean())
    .map(([year, at, day, before]) => ({
      day: `${String(year).padStart(4, '0')}-${two(at)}-${two(day)}`,
      era: before && year < 4700 ? ' BC' : '',
    }));

const date = fc.oneof(
  dayOf(5_874_896).map(({ day, era }) => `${day}${era}`),
  oneOf('infinity', '-infinity', '4713-11-24 BC', '5874897-12-31', '2025-03-04', '2025-12-31'),
);

const moment = (zone: string) =>
  fc.oneof(
    fc.tuple(dayOf(294_275), clock).map(([{ day, era }, time]) => `${day} ${time}${zone}${era}`),
    fc.tuple(dayOf(2_100), clock).map(([{ day, era }, time]) => `${day} ${time}${zone}${era}`),
    oneOf(
      ...['infinity', '-infinity', `294276-12-31 23:59:59.999999${zone}`, `4713-11-24 00:00:00${zone} BC`],
      ...[`2025-10-26 00:30:00${zone}`, `1899-12-31 23:59:59.000001${zone}`, `2025-03-04 05:06:07${zone}`],
    ),
  );

const timestamp = moment('');
const timestamptz = moment('+00');
const offset = oneOf('+00', '+05:30', '-03:30', '+15:59:59', '-15:59:59');
const timetz = fc.tuple(fc.oneof(clock, oneOf('24:00:00')), offset).map((parts) => parts.join(''));

const span = fc.tuple(
  ...[
    fc.integer({ min: -9999, max: 9999 }),
    fc.integer({ min: -99_999, max: 99_999 }),
    oneOf('', '-'),
    clock,
  ],
);
const interval = fc.oneof(
  span.map(([months, days, sign, time]) => `${months} mons ${days} days ${sign}${time}`),
  oneOf(
    'infinity',
    '-infinity',
    '0',
    '-1 days +02:03:04',
    '1 year -1 mon',
    '178000000 years',
    '24:00:00',
    '1 day',
  ),
);

const word = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
  oneOf(
    '',
    'NULL',
    'null',
    '\\',
    '\\N',
    '\\x41',
    "'",
    '"',
    '{}',
    '{',
    ',',
    ' ',
    '\t\r\n',
    '(',
    '🦀',
    'e\u0301',
    '\u2028',
    '\ufeff',
  ),
);

/** A text as it stands in an array, a range or a composite. */
export const quoted = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

const pair = (of: ArbitraryText) => fc.tuple(of, of);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }).map(String);
const point = pair(double).map(([x, y]) => `(${x},${y})`);
const corner = pair(finite).map(([x, y]) => `(${x},${y})`);
const corners = fc.array(corner, { minLength: 1, maxLength: 5 }).map((points) => points.join(','));

/** Ordered by the database, which knows the order: an empty range where they are the wrong way round. */
const bounded = (of: ArbitraryText) =>
  fc.oneof(
    oneOf('empty', '(,)'),
    of.map((lower) => `[${quoted(lower)},)`),
    of.map((upper) => `(,${quoted(upper)})`),
    of.map((only) => `[${quoted(only)},${quoted(only)}]`),
  );

const multi = (of: ArbitraryText) =>
  fc.array(bounded(of), { maxLength: 3 }).map((ranges) => `{${ranges.join(',')}}`);

const flat = (of: ArbitraryText) =>
  fc
    .array(fc.option(of), { maxLength: 4 })
    .map((each) => `{${each.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`);

const square = (of: ArbitraryText) =>
  fc.tuple(of, of, of).map(([a, b, c]) => `[-1:0][5:6]={{${quoted(a)},NULL},{${quoted(b)},${quoted(c)}}}`);

const arrayOf = (of: ArbitraryText) => fc.oneof(flat(of), square(of));

const bits = fc.stringMatching(/^[01]{0,70}$/u);
const hex = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const octet = fc.integer({ min: 0, max: 255 });
const pairsOfHex = (count: number) =>
  fc
    .uint8Array({ minLength: count, maxLength: count })
    .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'));

const inet = fc.oneof(
  fc
    .tuple(octet, octet, octet, octet, fc.integer({ min: 0, max: 32 }))
    .map(([a, b, c, d, net]) => `${a}.${b}.${c}.${d}/${net}`),
  fc.ipV6(),
);

const json = fc.oneof(
  fc.json(),
  oneOf('{"a": 1, "a":  2}', '[1.0e400, 1.00, -0.0]', '"\\ud83e\\udd80\\n"', 'null', '{"":{"":[]}}'),
);

/** A text in which XML has nothing to object to. */
const xmlText = fc.stringMatching(/^[\p{L} '"\\]{0,9}$/u);

/** Every type of PostgreSQL whose values can be stored and are not names in a catalogue of their own. */
export const arbitraryValues: Readonly<Record<string, ArbitraryText>> = {
  int2: integer(15n),
  int4: integer(31n),
  int8: integer(63n),
  numeric,
  float4: single,
  float8: double,
  money: fc.oneof(
    fc
      .bigInt(-(2n ** 62n), 2n ** 62n)
      .map((cents) => `${cents / 100n}.${two(Number(cents % 100n < 0n ? -(cents % 100n) : cents % 100n))}`),
    oneOf('-92233720368547758.08', '92233720368547758.07'),
  ),
  bool: oneOf('true', 'false'),
  date,
  time: fc.oneof(clock, oneOf('24:00:00')),
  timetz,
  timestamp,
  timestamptz,
  interval,
  text: word,
  varchar: word,
  'char(9)': oneOf('', 'a', ' a', 'é', "'\\"),
  '"char"': oneOf('', 'a', '\\200', '\\377', '\\'),
  name: oneOf('', 'a b', 'é', '"'),
  bytea: hex.map((text) => `\\x${text}`),
  'bit(7)': fc.stringMatching(/^[01]{7}$/u),
  varbit: bits,
  uuid: fc.uuid(),
  json,
  jsonb: json,
  jsonpath: oneOf('$', '$."a b"[*] ? (@ > 1.5)', 'strict $.a'),
  xml: fc.oneof(
    xmlText.map((text) => `<a b="c">${text}</a><!-- two --><b/>`),
    oneOf('', 'text alone', '<?x y?><z/>'),
  ),
  inet,
  cidr: oneOf('10.0.0.0/8', '::/0', '2001:db8::/32', '192.168.1.1/32'),
  macaddr: pairsOfHex(6),
  macaddr8: pairsOfHex(8),
  point,
  line: oneOf('{1,2,3}', '{0,-1,0.30000000000000004}', '{-1,0,1e300}'),
  lseg: pair(point).map(([from, to]) => `[${from},${to}]`),
  box: pair(corner).map(([from, to]) => `${from},${to}`),
  path: fc.tuple(fc.boolean(), corners).map(([open, points]) => (open ? `[${points}]` : `(${points})`)),
  polygon: corners.map((points) => `(${points})`),
  circle: fc
    .tuple(corner, oneOf('0', '1e-300', '0.1', '12345.678'))
    .map(([at, radius]) => `<${at},${radius}>`),
  int4range: bounded(integer(30n)),
  int8range: bounded(integer(62n)),
  numrange: bounded(oneOf('0', '1.50', '-12345678901234567890.123456789', '1e-30')),
  daterange: bounded(oneOf('2025-03-04', '0044-03-15 BC', 'infinity')),
  tsrange: bounded(timestamp),
  tstzrange: bounded(timestamptz),
  int4multirange: multi(integer(30n)),
  nummultirange: multi(oneOf('0', '1.50', '-7.25')),
  tstzmultirange: multi(timestamptz),
  datemultirange: multi(oneOf('2025-03-04', '0044-03-15 BC')),
  tsvector: oneOf('', "fat:2A,3 'c''at':1", "'a\\\\b' 'é'"),
  tsquery: oneOf('', "'fat' & !'c''at':AB", "'a' <2> 'b'"),
  pg_lsn: oneOf('0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848'),
  pg_snapshot: oneOf('1:1:', '10:20:10,14,15'),
  txid_snapshot: oneOf('1:1:', '10:20:10,14,15'),
  oid: oneOf('0', '4294967295'),
  xid: oneOf('0', '4294967295'),
  xid8: oneOf('0', '18446744073709551615'),
  cid: oneOf('0', '4294967295'),
  tid: oneOf('(0,0)', '(4294967295,65535)'),
  int2vector: oneOf('', '1 -2 3'),
  oidvector: oneOf('', '1 4294967295'),
  regtype: oneOf('integer', 'timestamp with time zone', 'text[]'),
  'int4[]': arrayOf(integer(31n)),
  'numeric[]': arrayOf(numeric),
  'float8[]': arrayOf(double),
  'bool[]': arrayOf(oneOf('t', 'f')),
  'text[]': arrayOf(word),
  'bytea[]': arrayOf(hex.map((text) => `\\x${text}`)),
  'timestamptz[]': arrayOf(timestamptz),
  'timestamp[]': arrayOf(timestamp),
  'date[]': arrayOf(date),
  'interval[]': arrayOf(interval),
  'money[]': arrayOf(oneOf('-1.05', '92233720368547758.07')),
  'jsonb[]': arrayOf(json),
  'tstzrange[]': arrayOf(bounded(timestamptz)),
  'uuid[]': arrayOf(fc.uuid()),
};
