import { MalformedBody, Unacceptable } from '../http/errors.ts';

/** What JSON holds, and whether a document of MongoDB can hold it, as far as its form goes. */
export interface ExactJson {
  readonly value: unknown;
  /** Keys, texts and nesting are such as every server takes. What is not fits into a file. */
  readonly fitsDocument: boolean;
}

/** MongoDB takes a hundred levels; some of them are the document's own. */
const deepestOfDocument = 90;

/** What our own code can go through. */
const deepest = 500;

/**
 * Reads JSON of which nothing is lost: it says the same when it is written again.
 *
 * @throws MalformedBody for what is not JSON in UTF-8; Unacceptable for a number that is not kept to its last digit, a key
 *   that an object has twice, and a text with half of a surrogate pair. None quotes anything of it.
 */
export function parseExactly(body: Buffer): ExactJson {
  const text = decode(body);
  try {
    return exactly(text, JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new MalformedBody(`the answer of ${body.length} bytes is not JSON`);
    throw error;
  }
}

/**
 * What a text of JSON was read as, if nothing of it was lost.
 *
 * @throws Unacceptable as `parseExactly` does.
 */
export function exactly(text: string, value: unknown): ExactJson {
  const { keys, fitsDocument } = look(value);
  const written = scan(text);
  if (written.rounded)
    throw new Unacceptable(
      'the answer has a number of more digits than can be kept; nothing of it is stored',
    );
  if (written.keys !== keys)
    throw new Unacceptable('the answer has an object with the same key twice; nothing of it is stored');
  return { value, fitsDocument };
}

/** Whether a number in a text of JSON is another one when it is read. */
export function losesDigits(text: string): boolean {
  return perhapsRounded.test(text) && scan(text).rounded;
}

/** Whether an object in a text of JSON has a key twice, of which one is lost. @param value what it was read as */
export function hasKeyTwice(text: string, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let keys = 0;
  const left: object[] = [value];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (!Array.isArray(at)) keys += Object.keys(at).length;
    for (const part of Object.values(at))
      if (typeof part === 'object' && part !== null) left.push(part as object);
  }
  return scan(text).keys !== keys;
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new MalformedBody(`the answer of ${body.length} bytes is not UTF-8`);
  }
}

/** What was read. @throws Unacceptable */
function look(value: unknown): { readonly keys: number; readonly fitsDocument: boolean } {
  let keys = 0;
  let fitsDocument = true;
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) throw new Unacceptable(`the answer is nested more than ${deepest} levels deep`);
    if (depth > deepestOfDocument) fitsDocument = false;
    const below: unknown[] = [];
    for (const at of level) {
      if (typeof at === 'string') fitsDocument = isStorable(at) && fitsDocument;
      if (typeof at !== 'object' || at === null) continue;
      if (Array.isArray(at)) {
        for (const element of at) below.push(element);
        continue;
      }
      for (const [key, entry] of Object.entries(at)) {
        keys++;
        fitsDocument = isStorable(key) && isPlainKey(key) && fitsDocument;
        below.push(entry);
      }
    }
    level = below;
  }
  return { keys, fitsDocument };
}

function isStorable(text: string): boolean {
  if (!text.isWellFormed())
    throw new Unacceptable(
      'the answer has a text with half of a surrogate pair, which no store keeps; nothing of it is stored',
    );
  return !text.includes('\0');
}

function isPlainKey(key: string): boolean {
  return key !== '' && key !== '__proto__' && !key.startsWith('$') && !key.includes('.');
}

/** A number of so many digits, or one with an exponent, may be another one when it is read. */
const perhapsRounded = /\d{16}|\.\d{15}|\d[eE]/u;

/** What stands in a text that is JSON: how many keys, and whether a number loses digits when it is read. */
function scan(text: string): { readonly keys: number; readonly rounded: boolean } {
  const numbers = perhapsRounded.test(text);
  let keys = 0;
  let from = 0;
  for (;;) {
    const begin = text.indexOf('"', from);
    if (numbers && hasRounded(text.slice(from, begin < 0 ? undefined : begin)))
      return { keys, rounded: true };
    if (begin < 0) return { keys, rounded: false };
    from = endOfString(text, begin) + 1;
    let next = from;
    while (text.charCodeAt(next) <= 0x20) next++;
    if (text.charCodeAt(next) === 0x3a) keys++;
  }
}

/** The quote that ends the string that begins here. */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === 0x5c) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

function hasRounded(text: string): boolean {
  const numbers = text.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gu) ?? [];
  return numbers.some((number) => canonical(number) !== canonical(String(Number(number))));
}

/** A decimal number in one way of writing it; undefined for what is none. */
function canonical(number: string): string | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/u.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/u, '');
  const significant = digits.replace(/0+$/u, '');
  if (whole === '') return undefined;
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}
