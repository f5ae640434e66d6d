/** Our own code goes through no more levels; one that holds itself has any number. */
const deepest = 500;

/**
 * What `JSON.stringify` would leave out of a value, or write as something else; undefined where it writes all of it. A
 * property that is `undefined` is left out, as everywhere. Tells what, never what it says.
 */
export function lostInJson(value: unknown, depth = 0): string | undefined {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? undefined : `${String(value)}, which JSON has no number for`;
    case 'bigint':
      return 'a bigint, which JSON has no number for';
    case 'undefined':
    case 'function':
    case 'symbol':
      return `${typeof value}, which is no value`;
    case 'object':
      return value === null ? undefined : lostOfObject(value, depth);
    default:
      return undefined;
  }
}

function lostOfObject(value: object, depth: number): string | undefined {
  if (depth > deepest) return `more than ${deepest} levels`;
  if (ArrayBuffer.isView(value)) return bytes;
  if (isNoDate(value)) return 'a date that is none';
  if (Array.isArray(value)) return firstOf(value, (element) => lostInJson(element, depth + 1));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return lostInJson(toJSON.call(value, ''), depth + 1);
  const kind = emptyKind(value);
  if (kind !== undefined) return `${kind}, of which nothing would be left`;
  return firstOf(Object.values(value), (property) =>
    property === undefined ? undefined : lostInJson(property, depth + 1),
  );
}

const bytes = 'bytes, which JSON has no value for';

/** A date that tells no moment. */
export function isNoDate(value: object): boolean {
  return value instanceof Date && Number.isNaN(value.getTime());
}

/**
 * What an object is called that keeps what it holds where no property tells of it: a promise, a map, an error. An object
 * of a class of one's own does too where all it has is private.
 */
export function emptyKind(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return undefined;
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (kind !== 'Object') return kind;
  if (Object.keys(value).length > 0) return undefined;
  // Of another realm, where the prototype is another one too.
  return Object.getPrototypeOf(prototype) === null ? undefined : 'an object without properties of its own';
}

/** The first fault of some values, in their order. */
export function firstOf<Value>(
  values: Iterable<Value>,
  faultOf: (value: Value) => string | undefined,
): string | undefined {
  for (const value of values) {
    const fault = faultOf(value);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
