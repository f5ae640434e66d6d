import pg from 'pg';
import { ToldError } from '../../contract/errors.ts';
import { hasKeyTwice, losesDigits } from '../json/exact-json.ts';

/** A value of JSON that would be another one as JavaScript reads it. */
export class InexactJson extends ToldError {
  override readonly name = 'InexactJson';
}

/**
 * Reads a value of `json` or `jsonb`, whose numbers have as many digits as PostgreSQL's.
 *
 * @throws InexactJson for a number that JavaScript does not keep to its last digit.
 */
export function readJson(text: string): unknown {
  if (losesDigits(text))
    throw new InexactJson(
      'a value of json or jsonb has a number of more digits than a number of JavaScript keeps, and would be written back as ' +
        'another one. Read the column as text, in the query of the reader: sql`doc::text`.as("doc")',
    );
  return JSON.parse(text);
}

/**
 * The same of `json`, which keeps an object as it was written; `jsonb` has each key once.
 *
 * @throws InexactJson also for an object with a key twice, of which the first value would be lost.
 */
export function readJsonText(text: string): unknown {
  const value = readJson(text);
  if (hasKeyTwice(text, value))
    throw new InexactJson(
      'a value of json has an object with the same key twice, of which one would be lost. Read the column as text, in the query ' +
        'of the reader: sql`doc::text`.as("doc")',
    );
  return value;
}

/** How an array of texts is read, for any array whose elements stay texts. */
export const arrayOfText: number = 1009;

/** The same for an array of them, each read as one is by itself. */
export const readJsonArray =
  (readOne: (text: string) => unknown) =>
  (text: string): unknown => {
    const textsOf = pg.types.getTypeParser(arrayOfText, 'text') as (array: string) => unknown;
    const read = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map((one) => read(one))
        : typeof value === 'string'
          ? readOne(value)
          : value;
    return read(textsOf(text));
  };
