import type { Long } from 'mongodb';
import { ToldError } from '../../contract/errors.ts';
import { emptyKind, firstOf, isNoDate } from '../json/lost-in-json.ts';

/** A document of which the driver would write something else than it holds. Tells what, never what it says. */
export class UnstorableDocument extends ToldError {
  override readonly name = 'UnstorableDocument';
}

/** No server takes more levels; a document that holds itself has any number. */
const deepest = 200;

/**
 * Requires of a document that the driver writes what it holds, or refuses it by itself. A property that is `undefined` is
 * left out.
 *
 * @throws UnstorableDocument for half of a surrogate pair, which becomes U+FFFD; for a date that is none, which becomes
 * 1970; for a whole number of more than 64 bits, which loses those above, and an unsigned one that becomes negative; for a
 * pattern's flags that become others; for `undefined` in a list, which becomes null; and for a function, a symbol, a set, a
 * promise and the like, of which nothing is left.
 */
export function requireStorable(document: object): void {
  const fault = faultIn(document, 0);
  if (fault === undefined) return;
  throw new UnstorableDocument(`a document holds ${fault}: MongoDB would have another one`);
}

function faultIn(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string')
    return value.isWellFormed() ? undefined : 'half of a surrogate pair, which is no character';
  if (typeof value === 'bigint')
    return BigInt.asIntN(64, value) === value ? undefined : 'a whole number of more than 64 bits';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}, which is no value`;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined;
  if (depth > deepest) return `more than ${deepest} levels`;
  return faultOf(value) ?? faultWithin(value, depth + 1);
}

/** What is wrong with an object, whatever its parts are. */
function faultOf(value: object): string | undefined {
  if (value instanceof Date) return isNoDate(value) ? 'a date that is none' : undefined;
  if (value instanceof RegExp) return faultOfPattern(value);
  if (Array.isArray(value) || value instanceof Map) return undefined;
  if (hasType(value)) return isNegativeWhenSigned(value) ? 'an unsigned number of 64 bits' : undefined;
  if ('toBSON' in value) return undefined;
  const kind = ArrayBuffer.isView(value) ? value.constructor.name : emptyKind(value);
  return kind === undefined ? undefined : `${kind}, which is no value`;
}

function faultOfPattern({ source, flags }: RegExp): string | undefined {
  if (!source.isWellFormed()) return 'a pattern with half of a surrogate pair';
  return /[^im]/u.test(flags)
    ? 'a pattern with flags that the driver changes (a BSONRegExp keeps them)'
    : undefined;
}

/** One of the driver's own classes, of whatever copy of it. */
function hasType(value: object): boolean {
  return '_bsontype' in value && typeof value._bsontype === 'string';
}

function isNegativeWhenSigned(value: object): boolean {
  const { _bsontype: type, unsigned, high } = value as Partial<Long> & { readonly _bsontype?: unknown };
  return type === 'Long' && unsigned === true && (high ?? 0) < 0;
}

function faultWithin(value: object, depth: number): string | undefined {
  if (Array.isArray(value))
    return firstOf(value, (element) =>
      element === undefined ? 'undefined in a list, which becomes null' : faultIn(element, depth),
    );
  if (value instanceof Map) return firstOf(value, (entry) => faultOfEntry(entry, depth));
  const { toBSON } = value as { readonly toBSON?: unknown };
  if (typeof toBSON !== 'function')
    return firstOf(Object.entries(value), (entry) => faultOfEntry(entry, depth));
  const given: unknown = toBSON.call(value);
  return given === undefined ? 'an object that is nothing to MongoDB' : faultIn(given, depth);
}

function faultOfEntry([name, value]: readonly [unknown, unknown], depth: number): string | undefined {
  if (typeof name !== 'string') return 'a map with keys that are no texts';
  return faultIn(name, depth) ?? faultIn(value, depth);
}

/**
 * Requires of documents that they are stored as they are, each under a key of its own.
 *
 * @throws UnstorableDocument
 */
export function requireEachStorable(documents: readonly { readonly _id: unknown }[]): void {
  const ids = new Set<unknown>();
  for (const document of documents) {
    requireStorable(document);
    const { _id: id } = document;
    if (id === undefined || id === null)
      throw new UnstorableDocument('a document has no _id: each attempt would give it another one');
    if (ids.has(id))
      throw new UnstorableDocument(`two documents of a chunk have the same _id: one would replace the other`);
    ids.add(id);
    for (const mark of ['epoch', 'fence'])
      if (Object.hasOwn(document, mark))
        throw new UnstorableDocument(
          `a document has a field ${mark} of its own, which marks the attempt that writes it: call it something else`,
        );
  }
}
