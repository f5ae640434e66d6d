import { ToldError } from './told-error.ts';

/**
 * What a reader, a processor, a writer or a tasklet has answered is not what its contract says. Nothing of it is taken for
 * anything else: an answer that is guessed at loses rows without a word. It tells what is wrong, by kinds and never by
 * contents.
 */
export class UnusableAnswer extends ToldError {
  override readonly name = 'UnusableAnswer';
}

/** What kind of thing a value is, for a message that must not quote it: `undefined`, `NaN`, `a text`, `a Map`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number') return String(value);
  if (Array.isArray(value)) return 'a list';
  const kind = kinds[typeof value];
  if (kind !== undefined) return kind;
  const { name } = (Object.getPrototypeOf(value) as object | null)?.constructor ?? Object;
  return name === 'Object' || name === '' ? 'an object' : `${/^[AEIOU]/u.test(name) ? 'an' : 'a'} ${name}`;
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  boolean: 'a boolean',
  bigint: 'a bigint',
  function: 'a function',
  symbol: 'a symbol',
};

/** Whether something is a number of things: whole, not negative, and no text. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
