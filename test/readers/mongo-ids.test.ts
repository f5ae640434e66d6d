import { Binary, BSON, BSONRegExp, BSONSymbol, Code, Decimal128, Double, Int32, Long } from 'mongodb';
import { DBRef, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'mongodb';
import { describe, expect, test } from 'vitest';
import {
  cursorOfId,
  idOfCursor,
  UnusableId,
  unusableTypes,
} from '../../packages/keystride/src/stores/mongo/id-keys.ts';

/** Values as a server has them: bytes, of which the driver makes what its options say. */
const bytesOf = (value: unknown) => BSON.serialize({ _id: value }, { ignoreUndefined: false });
const optionsOfDrivers: readonly BSON.DeserializeOptions[] = [
  {},
  { promoteValues: false },
  { useBigInt64: true },
  { bsonRegExp: true },
];

const decimal = (text: string) => Decimal128.fromString(text);
const binary = (subtype: number, length = 5) => new Binary(Buffer.alloc(length, 7), subtype);
const days = 8_640_000_000_000_000;

/** Each is written into a cursor, from which the same value is made again. */
const usable: Readonly<Record<string, unknown>> = {
  'the lowest int': new Int32(-(2 ** 31)),
  'the highest int': new Int32(2 ** 31 - 1),
  'the lowest long': Long.MIN_VALUE,
  'the highest long': Long.MAX_VALUE,
  'a long above what a number holds': Long.fromBigInt(2n ** 53n + 1n),
  'a long below what a number holds': Long.fromBigInt(-(2n ** 53n) - 1n),
  'the smallest double': new Double(5e-324),
  'the largest double': new Double(Number.MAX_VALUE),
  infinity: new Double(Infinity),
  'minus infinity': new Double(-Infinity),
  'a whole double': new Double(1),
  'a decimal of 34 digits': decimal('1234567890123456789012345678901234'),
  'the largest decimal': decimal('9.999999999999999999999999999999999E+6144'),
  'the smallest decimal': decimal('1E-6176'),
  'a decimal with a zero at its end': decimal('1.0'),
  'an infinite decimal': decimal('-Infinity'),
  'an empty text': '',
  'a zero character': 'a\0b',
  'a text beyond the first plane': '🙂\u{10FFFF}',
  'a text that looks like a path': '$a.b',
  'a name of the language': '__proto__',
  'a text that looks like a cursor': 'number:5',
  ...Object.fromEntries([0, 1, 2, 3, 4, 5, 8, 128, 255].map((n) => [`a binary of subtype ${n}`, binary(n)])),
  'no bytes': binary(0, 0),
  'a UUID': new UUID(),
  'a legacy UUID': binary(3, 16),
  'an ObjectId': new ObjectId(),
  'the first date of JavaScript': new Date(-days),
  'the last date of JavaScript': new Date(days),
  'a year before zero': new Date('-000044-03-15T00:00:00.000Z'),
};

/** A date that a server has and JavaScript cannot tell: its bytes are those of a long of the type of a date. */
function dateOf(milliseconds: bigint): Buffer {
  const bytes = Buffer.from(bytesOf(new Date(0)));
  bytes.writeBigInt64LE(milliseconds, bytes.length - 9);
  return bytes;
}

const refused: Readonly<Record<string, Uint8Array>> = {
  'not a number': bytesOf(new Double(NaN)),
  'a decimal that is not a number': bytesOf(decimal('NaN')),
  'a date after the last of JavaScript': dateOf(BigInt(days) + 1n),
  'a date before the first': dateOf(-(2n ** 63n)),
  'the lowest key': bytesOf(new MinKey()),
  'the highest key': bytesOf(new MaxKey()),
  'a timestamp': bytesOf(new Timestamp({ t: 1, i: 1 })),
  'a pattern': bytesOf(new BSONRegExp('a', 'ix')),
  code: bytesOf(new Code('x')),
  'code with a scope': bytesOf(new Code('x', { a: 1 })),
  'a reference': bytesOf(new DBRef('other', new ObjectId())),
  'a document': bytesOf({ a: 1 }),
  'a list': bytesOf([1]),
  true: bytesOf(true),
  null: bytesOf(null),
};

const idIn = (bytes: Uint8Array, options: BSON.DeserializeOptions): unknown =>
  BSON.deserialize(bytes, options)['_id'];

describe.each(optionsOfDrivers)('with %j', (options) => {
  test.each(Object.entries(usable))('an _id that is %s is made again from its cursor', (_, value) => {
    const cursor = cursorOfId(idIn(bytesOf(value), options));
    const stored = JSON.parse(JSON.stringify(cursor)) as string[];
    const { kind, value: again } = idOfCursor(stored);
    expect(cursorOfId(again)).toEqual(cursor);
    // A server compares numbers of all types as numbers.
    if (kind === 'number') expect(digitsOf(again)).toBe(digitsOf(value));
    else expect(Buffer.from(bytesOf(again))).toEqual(Buffer.from(bytesOf(value)));
  });

  test.each(Object.entries(refused))('an _id that is %s is refused', (_, bytes) => {
    expect(() => cursorOfId(idIn(bytes, options))).toThrow(UnusableId);
  });
});

function digitsOf(value: unknown): string {
  if (value instanceof Decimal128) return value.toString();
  return value instanceof Long
    ? String(value.toBigInt())
    : String(BSON.EJSON.deserialize({ v: Number(value) })['v']);
}

test('minus zero is zero, as it is to a server', () => {
  expect(cursorOfId(-0)).toEqual(cursorOfId(0));
});

test('what no cursor is made of is looked for by every type that there is', () => {
  const read = ['double', 'int', 'long', 'decimal', 'string', 'binData', 'objectId', 'date'];
  const all = [
    'double',
    'string',
    'object',
    'array',
    'binData',
    'undefined',
    'objectId',
    'bool',
    'date',
    'null',
    'regex',
  ];
  const others = [
    'dbPointer',
    'javascript',
    'symbol',
    'javascriptWithScope',
    'int',
    'timestamp',
    'long',
    'decimal',
  ];
  const types = [...all, ...others, 'minKey', 'maxKey'];
  expect([...read, ...unusableTypes].toSorted()).toEqual(types.toSorted());
});

test('bytes whose subtype the driver keeps back are refused: there would be others between them', () => {
  const promoted = idIn(bytesOf(new UUID()), { promoteBuffers: true });
  expect(() => cursorOfId(promoted)).toThrow(/promoteBuffers/u);
});

test('a symbol is refused though the driver makes a text of it', () => {
  expect(new BSONSymbol('a').valueOf()).toBe('a');
  expect(unusableTypes).toContain('symbol');
});
