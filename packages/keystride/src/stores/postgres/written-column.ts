import { ToldError } from '../../contract/errors.ts';

/** A column of a bulk statement that takes one array a column, by the type that its writer names. */
export interface WrittenColumn {
  /** The type of the elements that are handed over. */
  readonly given: string;
  /** What is written for an element, as SQL. */
  written(element: string): string;
  /** What is handed over for a value. @throws UnwritableValue */
  elementOf(value: unknown): unknown;
}

/** A value that a column of the type that is named for it has no place for. */
export class UnwritableValue extends ToldError {
  override readonly name = 'UnwritableValue';
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
  const [isArray, isJson] = [whole.endsWith('[]'), /^jsonb?$/iu.test(whole)];
  if (isArray || isJson)
    return {
      given: 'text',
      written: (element) => `${element}::${whole}`,
      elementOf: (value) => (Array.isArray(value) ? textOfArray(value, isJson) : value),
    };
  return {
    given: whole,
    written: (element) => element,
    elementOf: (value) => {
      if (!Array.isArray(value)) return value;
      throw new UnwritableValue(
        `column ${name} is written as ${type}, and a row has an array for it: name the column's type, as text[] or jsonb`,
      );
    },
  };
}

/** The driver asks a value for its text, and writes an array as PostgreSQL's. */
function textOfArray(value: readonly unknown[], isJson: boolean): unknown {
  if (isJson) return JSON.stringify(value);
  return { toPostgres: (prepare: (array: readonly unknown[]) => string) => prepare(value) };
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
