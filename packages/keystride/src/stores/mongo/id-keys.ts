import { Binary, BSON, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID } from 'mongodb';
import { ToldError } from '../../contract/errors.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';

/** An `_id` that cannot order a job's pages. */
export class UnusableId extends ToldError {
  override readonly name = 'UnusableId';
}

/** A value of `_id` as the driver takes it. */
export type IdValue = string | number | Long | Decimal128 | Binary | ObjectId | Date;

/**
 * The kinds of `_id` that a collection may mix, in the order in which MongoDB sorts them, each with its name for
 * `$type`. A comparison matches values of its own kind alone, so a scan goes through them one after another. Whole,
 * long, floating and decimal numbers are one kind and compare with each other.
 */
export const idKinds = [
  { kind: 'number', type: 'number' },
  { kind: 'string', type: 'string' },
  { kind: 'binary', type: 'binData' },
  { kind: 'objectId', type: 'objectId' },
  { kind: 'date', type: 'date' },
] as const;

export type IdKind = (typeof idKinds)[number]['kind'];

/** What an `_id` may be and cannot be scanned by, by its name for `$type`: every other type that there is. */
export const unusableTypes: readonly string[] = [
  ...['object', 'array', 'bool', 'null', 'timestamp', 'regex'],
  ...['undefined', 'minKey', 'maxKey', 'javascript', 'javascriptWithScope', 'symbol', 'dbPointer'],
];

/** Those of them that FerretDB knows: it holds nothing else. */
export const unusableInFerret = unusableTypes.slice(0, 6);

/** How a value is written into a cursor, by the first text of the cursor. */
const codecs: Record<string, { readonly kind: IdKind; parse(text: string): IdValue }> = {
  number: { kind: 'number', parse: Number },
  long: { kind: 'number', parse: (text) => Long.fromString(text) },
  decimal: { kind: 'number', parse: (text) => Decimal128.fromString(text) },
  string: { kind: 'string', parse: (text) => text },
  binary: {
    kind: 'binary',
    parse: (text) => {
      const [subtype = '0', base64 = ''] = text.split(':');
      return new Binary(Buffer.from(base64, 'base64'), Number(subtype));
    },
  },
  uuid: { kind: 'binary', parse: (text) => new UUID(text) },
  objectId: { kind: 'objectId', parse: (text) => ObjectId.createFromHexString(text) },
  date: { kind: 'date', parse: (text) => new Date(text) },
};

/**
 * The cursor of an `_id`: its type and its value, from which the very same value is made again.
 *
 * @throws UnusableId for a value of another kind, for NaN, which compares with nothing, and for a date that a
 * JavaScript Date cannot hold.
 */
export function cursorOfId(id: unknown): Cursor {
  return cursorOf(rendered(id));
}

function rendered(id: unknown): [type: string, text: string] {
  if (typeof id === 'string') return ['string', id];
  if (typeof id === 'number' && !Number.isNaN(id)) return ['number', String(id)];
  if (typeof id === 'bigint') return renderedLong(id);
  if (id instanceof Date && !Number.isNaN(id.getTime())) return ['date', id.toISOString()];
  if (id instanceof BSON.BSONValue) {
    const text = renderedValue(id);
    if (text) return text;
  }
  throw unusableId(id);
}

/** The error of an `_id` that no collection is read by, though the driver may make something of it that is. */
export function unusableId(id: unknown): UnusableId {
  return new UnusableId(
    `an _id is ${describe(id)}; a collection is read by numbers, strings, UUIDs and other binaries, ObjectIds and dates.`,
  );
}

/** As a number where one holds it: the driver makes a number of such a long, or not, as its options say. */
function renderedLong(value: bigint): [type: string, text: string] {
  const held = value >= -(2n ** 53n) && value <= 2n ** 53n;
  return [held ? 'number' : 'long', String(value)];
}

function renderedValue(id: BSON.BSONValue): [type: string, text: string] | undefined {
  // To the driver it is a long, to a server it is not.
  if (id instanceof Timestamp) return undefined;
  if (id instanceof ObjectId) return ['objectId', id.toHexString()];
  if (id instanceof Long) return renderedLong(id.toBigInt());
  if (id instanceof Decimal128) return id.toString() === 'NaN' ? undefined : ['decimal', id.toString()];
  if (id instanceof Int32 || id instanceof Double) return rendered(id.valueOf());
  if (!(id instanceof Binary)) return undefined;
  if (id.sub_type === Binary.SUBTYPE_UUID && id.length() === 16) return ['uuid', id.toUUID().toString()];
  return ['binary', `${id.sub_type}:${id.toString('base64')}`];
}

function describe(id: unknown): string {
  if (typeof id === 'number' || id instanceof Decimal128) return 'not a number (NaN)';
  // Of the types that the driver makes texts of, this is the other one.
  if (typeof id === 'string') return 'of type symbol';
  if (Buffer.isBuffer(id)) return 'bytes without their subtype (the option promoteBuffers of its collection)';
  if (id instanceof Date) return 'a date beyond what can be told';
  return id === null ? 'null' : `of type ${id instanceof BSON.BSONValue ? id._bsontype : typeof id}`;
}

/** The kind and the value that a cursor's first two texts name. */
export function idOfCursor([type = '', text = '']: readonly string[]): {
  readonly kind: IdKind;
  readonly value: IdValue;
} {
  const codec = codecs[type];
  if (!codec) throw new UnusableId(`a cursor names a type ${type} of _id that is not known.`);
  return { kind: codec.kind, value: codec.parse(text) };
}
