import { lostInJson } from '../json/lost-in-json.ts';
import { faultOfParameter, UnwritableValue } from './parameter.ts';

/** A column of a bulk statement that takes one array a column, by the type that its writer names. */
export interface WrittenColumn {
  /** The type of the elements that are handed over. */
  readonly given: string;
  /** What is written for an element, as SQL. */
  written(element: string): string;
  /** What is handed over for a value. @throws UnwritableValue */
  elementOf(value: unknown): unknown;
}

/**
 * A cast to a type with a length cuts what is longer, and one with a scale rounds, where the column itself would refuse it.
 * So values are cast to the type without them, and the column decides.
 *
 * An array within the array of a column would be taken for more rows of it: it is handed over as the text of an array,
 * or as JSON.
 */
export function writtenColumn(name: string, type: string): WrittenColumn {
  const whole = withoutLength(type);
  const refuse = (fault: string | undefined) => {
    if (fault === undefined) return;
    throw new UnwritableValue(`column ${name} is written as ${type}, and a row has ${fault}`);
  };
  const castTo = { given: 'text', written: (element: string) => `${element}::${whole}` };
  if (/^jsonb?$/iu.test(whole)) return { ...castTo, elementOf: (value) => jsonOf(value, refuse) };
  const isArray = whole.endsWith('[]');
  const elementType = whole.replace(/\[\]$/u, '');
  const elementOf = (value: unknown) => {
    refuse(faultOfParameter(value));
    if (isArray && Array.isArray(value)) return textOfArray(value, elementType, refuse);
    refuse(faultFor(whole, value));
    return value;
  };
  return isArray ? { ...castTo, elementOf } : { given: whole, written: (element) => element, elementOf };
}

type Refuse = (fault: string | undefined) => void;

/** A text is JSON already, and null is NULL. */
function jsonOf(value: unknown, refuse: Refuse): unknown {
  if (value === null || typeof value === 'string') {
    refuse(faultOfParameter(value));
    return value;
  }
  refuse(lostInJson(value));
  return JSON.stringify(value);
}

/** The driver asks a value for its text, and writes an array as PostgreSQL's. */
function textOfArray(value: readonly unknown[], elementType: string, refuse: Refuse): unknown {
  for (const element of value.flat(Infinity)) refuse(faultFor(elementType, element));
  return { toPostgres: (prepare: (array: readonly unknown[]) => string) => prepare(value) };
}

/** What a type would take for another value than it is. */
function faultFor(type: string, value: unknown): string | undefined {
  if (typeof value === 'number')
    return wholeNumbers.test(type) && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? 'a number beyond 2^53 for it, which may have been another one: give a bigint or a text'
      : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return "an array for it: name the column's type, as text[] or jsonb";
  if (value instanceof Date) return faultOfDate(type, value);
  if (value instanceof Uint8Array)
    return /^bytea$/iu.test(type) ? undefined : 'bytes for it, which bytea takes';
  if ('toPostgres' in value || /^jsonb?$/iu.test(type)) return undefined;
  return "an object for it: name the column's type, as jsonb";
}

const wholeNumbers = /^(?:bigint|int8|numeric|decimal)$/iu;

function faultOfDate(type: string, value: Date): string | undefined {
  if (/^time(?:tz| |$)/iu.test(type)) return 'a date for it: give the time as text';
  if (/^date$/iu.test(type) && value.getTime() % 86_400_000 !== 0)
    return 'a date with a time for it, which would be cut: give the day as text';
  return undefined;
}
/** What stands for itself and one character, or one bit, where no length is named: by the name that has no length. */
const lengthless: Readonly<Record<string, string>> = {
  bit: '"bit"',
  char: 'bpchar',
  character: 'bpchar',
};

/** A type without its length, precision or fields; one whose name is quoted has none that we could know. */
function withoutLength(type: string): string {
  if (type.includes('"')) return type;
  const [, element = '', brackets = ''] = /^(.*?)((?:\s*\[\d*\])*)$/su.exec(type.trim()) ?? [];
  const bare = element
    .replaceAll(/\([^()]*\)/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim();
  const known = /^interval\b/iu.test(bare) ? 'interval' : (lengthless[bare.toLowerCase()] ?? bare);
  return `${known}${brackets === '' ? '' : '[]'}`;
}
