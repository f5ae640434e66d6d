import { CsvError } from 'csv-parse';
import { parse as parseCsv } from 'csv-parse/sync';
import type { ItemRead, Reader } from '../../contract/reader.ts';
import { csvSplitter } from './csv-splitter.ts';
import { fileReader } from './file-reader.ts';
import {
  attempt,
  defaultLongestRecord,
  firstOffset,
  Problem,
  type RawRecord,
  readRecords,
  textOf,
} from './records.ts';
import { type FilePlace, type SourceFile, UnusableFile } from './source-file.ts';

export interface CsvSource<Item> extends FilePlace {
  /** The names of the columns. @default the first record of the file */
  readonly columns?: readonly string[];
  /** Columns that the file must have: one that is misspelt has no value in any record. @default none */
  readonly requiredColumns?: readonly string[];
  /** One ASCII character. @default ',' */
  readonly delimiter?: string;
  /** One ASCII character, doubled inside of a quoted field; null when fields are never quoted. @default '"' */
  readonly quote?: string | null;
  /**
   * What a record holds; an error that it throws is the failed read of that record alone.
   * @default the fields by column
   */
  readonly parse?: (fields: Readonly<Record<string, string>>) => Item;
  /**
   * Whether the last line may lack its line end. A file that was cut, or is still being written, ends so: in half a record, or
   * with `12` of `1234`. It is refused when the step opens, unless this says that its writer ends no last line.
   * @default false
   */
  readonly lastLineUnended?: boolean;
  /** Bytes that one record may have; a quote that is never closed is given up after so many. @default 1 MiB */
  readonly longestRecord?: number;
}

/**
 * Reads a CSV file (RFC 4180) in UTF-8, with line ends `\n` or `\r\n`, inside of quotes too. Empty lines are no
 * records.
 *
 * A record with another number of fields than there are columns, that is the header once more, with misplaced or unclosed quotes, or that is too long
 * is that record's read error, `MalformedRecord`, and the rest is read; where quotes are wrong the record ends at its
 * first line end. Quotes make it impossible to begin in the middle, so there is one range. The key of a record is the
 * byte at which it begins.
 *
 * @throws UnusableFile when the file is not there, has changed since the step was opened, has no usable header, lacks a
 * required column, or ends without a line end.
 */
export function csvReader<Item = Readonly<Record<string, string>>>(source: CsvSource<Item>): Reader<Item> {
  const dialect: Dialect = { delimiter: source.delimiter ?? ',', quote: source.quote ?? null };
  if (source.quote === undefined) dialect.quote = '"';
  const make = source.parse ?? ((fields) => fields as Item);
  const format = {
    split: csvSplitter(dialect.delimiter, dialect.quote),
    longestRecord: source.longestRecord ?? defaultLongestRecord,
  };
  return fileReader<Item>({
    path: source.path,
    directory: source.directory,
    lastLineUnended: source.lastLineUnended,
    open: async (file) => {
      const beginning = await firstOffset(file);
      const { columns, first } = source.columns
        ? { columns: source.columns, first: beginning }
        : await readHeader(file, beginning, format, dialect);
      requireColumns(file, columns, source.requiredColumns ?? []);
      return {
        first,
        format: { ...format, parse: (records) => parseAll(records, columns, dialect, make) },
      };
    },
  });
}

interface Dialect {
  readonly delimiter: string;
  quote: string | null;
}

async function readHeader(
  file: SourceFile,
  from: number,
  format: Parameters<typeof readRecords>[1],
  dialect: Dialect,
): Promise<{ readonly columns: readonly string[]; readonly first: number }> {
  const [header] = await readRecords(file, format, { from, end: file.size, limit: 1 });
  if (!header) return { columns: [], first: file.size };
  const [read] = header.problem === undefined ? fieldsOf([header], dialect) : [];
  const columns = read && 'item' in read ? read.item : [];
  const problem =
    read && 'item' in read ? headerProblem(columns, dialect) : (header.problem ?? 'cannot be read');
  if (problem !== undefined)
    throw new UnusableFile(`${file.path}: the header ${problem}; correct it, or give the columns.`);
  return { columns, first: header.end };
}

/** @throws UnusableFile. The columns that there are may be the values of a file without a header, and are not told. */
function requireColumns(file: SourceFile, columns: readonly string[], required: readonly string[]): void {
  const lacking = required.filter((name) => !columns.includes(name));
  if (lacking.length === 0 || (columns.length === 0 && file.size === 0)) return;
  throw new UnusableFile(
    `${file.path}: none of its ${columns.length} columns is called ${lacking.join(', or ')}; correct the header, or the name in the job.`,
  );
}

/** Characters that files of values are usually separated by. */
const usualDelimiters = [',', ';', '\t', '|'];

function headerProblem(columns: readonly string[], { delimiter }: Dialect): string | undefined {
  if (new Set(columns).size < columns.length) return 'names a column twice';
  if (columns.some((column) => column.includes('\0')))
    return 'has zero bytes, as a file in UTF-16 has: write it in UTF-8';
  if (columns.some((column) => column.trim() === '')) return 'has a column without a name';
  const [only, ...others] = columns;
  if (only === undefined || others.length > 0) return undefined;
  const other = usualDelimiters.find((usual) => usual !== delimiter && only.includes(usual));
  return (
    other &&
    `has one column, with ${JSON.stringify(other)} in its name (the delimiter is ${JSON.stringify(delimiter)})`
  );
}

function parseAll<Item>(
  records: readonly RawRecord[],
  columns: readonly string[],
  dialect: Dialect,
  make: (fields: Readonly<Record<string, string>>) => Item,
): ItemRead<Item>[] {
  return fieldsOf(records, dialect).map((read) =>
    'error' in read ? read : attempt(() => make(byColumn(read.item, columns))),
  );
}

function byColumn(fields: readonly string[], columns: readonly string[]): Record<string, string> {
  if (fields.length !== columns.length)
    throw new Problem(`has ${fields.length} fields where there are ${columns.length} columns`);
  // Files that were put together, each with its mark, or one whose columns were given too. A single value may be called as its column.
  const [first = '', ...others] = fields;
  if (
    columns.length > 1 &&
    [first.replace(/^\uFEFF/u, ''), ...others].every((field, index) => field === columns[index])
  )
    throw new Problem('is the header once more');
  return Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? '']));
}

/** The fields of each record: all records at once, and one by one when that fails. */
function fieldsOf(records: readonly RawRecord[], dialect: Dialect): ItemRead<string[]>[] {
  const contents = records.map(({ content }) => content);
  const together = attempt(() =>
    parseText(Buffer.concat(contents.flatMap((content) => [content, lineEnd])), dialect),
  );
  if ('item' in together && together.item.length === records.length)
    return together.item.map((item) => ({ item }));
  return contents.map((content) =>
    attempt(() => {
      const [fields, ...others] = parseText(content, dialect);
      if (!fields || others.length > 0) throw new Problem('is not one record');
      return fields;
    }),
  );
}

const lineEnd = Buffer.from('\n');

function parseText(bytes: Buffer, { delimiter, quote }: Dialect): string[][] {
  const text = textOf(bytes);
  try {
    const options = { delimiter, quote, escape: quote ?? false, record_delimiter: '\n' };
    return parseCsv(text, { ...options, relax_column_count: true });
  } catch (error) {
    // Its message quotes the record.
    if (error instanceof CsvError) throw new Problem(`is not CSV (${error.code})`);
    throw error;
  }
}
