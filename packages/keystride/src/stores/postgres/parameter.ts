import { ToldError } from '../../contract/errors.ts';
import { firstOf, isNoDate, lostInJson } from '../json/lost-in-json.ts';
import { jsonOfArray, refuseTooLarge } from './value-size.ts';

/** A value that the driver, or the type that is named for a column, would make another one of. */
export class UnwritableValue extends ToldError {
  override readonly name = 'UnwritableValue';
}

/**
 * The parameters of a statement as the driver takes them. NULL is `null`.
 *
 * @throws UnwritableValue for what the driver writes as something else; ValueTooLarge.
 */
export function parametersOf(values: readonly unknown[]): unknown[] {
  const parameters = values.map((value, index) => parameterOf(value, index + 1));
  refuseTooLarge(parameters);
  return parameters;
}

/** @throws UnwritableValue for a statement of which the server would read another one, or its beginning alone. */
export function refuseUnreadable(statement: string): void {
  if (statement.isWellFormed() && !statement.includes('\0')) return;
  throw new UnwritableValue(
    'a statement has a zero character, or half of a surrogate pair: give values as parameters',
  );
}

function parameterOf(value: unknown, place: number): unknown {
  if (isTexts(value)) {
    const array = arrayOfTexts(value);
    if (array !== undefined) return array;
  }
  const fault = faultOfParameter(value);
  if (fault === undefined) return value;
  throw new UnwritableValue(`parameter $${place} of a statement is ${fault}`);
}

function isTexts(value: unknown): value is readonly (string | null)[] {
  return Array.isArray(value) && value.every((element) => typeof element === 'string' || element === null);
}

/**
 * An array of texts as the text that PostgreSQL reads it from: what the driver makes of it too, but element by element,
 * and that is the larger part of writing a chunk. As JSON it is the same but for the brackets, unless something in it
 * had to be escaped, as half of a surrogate pair has. Anything else is the driver's.
 */
function arrayOfTexts(texts: readonly (string | null)[]): string | undefined {
  const json = jsonOfArray(texts);
  return json.includes('\\') ? undefined : `{${json.slice(1, -1)}}`;
}

/** What the driver would write as something else of a value, whatever the type of its parameter; undefined for nothing. */
export function faultOfParameter(value: unknown): string | undefined {
  if (typeof value === 'string')
    return value.isWellFormed() ? undefined : 'a text with half of a surrogate pair, which is no character';
  if (value === undefined) return 'undefined: NULL is null';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}, which is no value`;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined;
  if (value instanceof Date) return isNoDate(value) ? 'a date that is none' : undefined;
  if (Array.isArray(value)) return firstOf(value, faultOfElement);
  return faultOfObject(value);
}

function faultOfElement(element: unknown): string | undefined {
  // PostgreSQL has no array of empty ones: it takes it for one that is empty.
  if (Array.isArray(element) && element.length === 0) return 'an empty array within another';
  return faultOfParameter(element);
}

/** The driver asks an object for what it is to PostgreSQL, and writes any other as JSON. */
function faultOfObject(value: object): string | undefined {
  const { toPostgres } = value as { readonly toPostgres?: unknown };
  // What it makes of its parts is a text, whatever they are.
  if (typeof toPostgres === 'function') return faultOfParameter(toPostgres.call(value, () => ''));
  const lost = lostInJson(value);
  if (lost !== undefined) return lost;
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON !== 'function' || typeof toJSON.call(value, '') === 'object') return undefined;
  return 'an object that is a text as JSON, and would stand there in quotes: give its text';
}
