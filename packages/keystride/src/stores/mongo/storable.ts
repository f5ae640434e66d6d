import { BSON } from 'mongodb';
import { ToldError } from '../../contract/errors.ts';

/** A document of which the driver would write something else than it holds. Tells what, never what it says. */
export class UnstorableDocument extends ToldError {
  override readonly name = 'UnstorableDocument';
}

/** What the driver writes of more levels than these no server takes. */
const deepest = 200;

/**
 * Requires of a document that the driver writes what it holds, or refuses it by itself.
 *
 * @throws UnstorableDocument for half of a surrogate pair, which becomes U+FFFD; for a date that is none, which becomes
 * 1970; for a bigint of more than 64 bits, which loses those above; for a pattern's flags that become others; and for a
 * function, a symbol, a set and the like, which are left out.
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
  if (typeof value !== 'object' || value === null || depth > deepest) return undefined;
  if (value instanceof Uint8Array || value instanceof BSON.BSONValue) return undefined;
  return faultOf(value) ?? faultWithin(value instanceof Map ? value : Object.entries(value), depth + 1);
}

/** What is wrong with an object that is not looked into. */
function faultOf(value: object): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'a date that is none' : undefined;
  if (value instanceof RegExp && /[^im]/u.test(value.flags))
    return 'a pattern with flags that the driver changes (a BSONRegExp keeps them)';
  if (value instanceof Set || ArrayBuffer.isView(value))
    return `a ${value.constructor.name}, which is no value`;
  return undefined;
}

function faultWithin(entries: Iterable<readonly [unknown, unknown]>, depth: number): string | undefined {
  for (const [name, value] of entries) {
    const fault = faultIn(name, depth) ?? faultIn(value, depth);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
