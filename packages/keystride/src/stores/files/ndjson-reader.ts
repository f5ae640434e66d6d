import type { Reader } from '../../contract/reader.ts';
import { Unacceptable } from '../http/errors.ts';
import { exactly } from '../json/exact-json.ts';
import { fileReader } from './file-reader.ts';
import {
  attempt,
  defaultLongestRecord,
  firstOffset,
  nextLine,
  Problem,
  type RecordFormat,
  splitLine,
  textOf,
} from './records.ts';
import type { FilePlace, SourceFile } from './source-file.ts';

export interface NdjsonSource<Item> extends FilePlace {
  /**
   * What a line holds; an error that it throws is the failed read of that line alone.
   * @default its JSON, if nothing of it is lost: a long number, a key that is there twice
   */
  readonly parse?: (line: string) => Item;
  /**
   * Whether the last line may lack its line end. A file that was cut, or is still being written, ends so: in half a record, or
   * with `12` of `1234`. It is refused when the step opens, unless this says that its writer ends no last line.
   * @default false
   */
  readonly lastLineUnended?: boolean;
  /** Bytes that one line may have. @default 1 MiB */
  readonly longestRecord?: number;
}

/**
 * Reads a file of one JSON value a line (NDJSON, JSON Lines), in UTF-8. Empty lines are no records.
 *
 * A line that is no JSON, or of which `JSON.parse` would lose something, is that line's read error, `MalformedRecord`, and the rest is read. Ranges are cut at line
 * ends, about as many bytes each. The key of a record is the byte at which it begins.
 *
 * @throws UnusableFile when the file is not there, has changed since the step was opened, or ends without a line end.
 */
export function ndjsonReader<Item = unknown>(source: NdjsonSource<Item>): Reader<Item> {
  const parse = source.parse ?? (parseJson as (line: string) => Item);
  const format: RecordFormat<Item> = {
    split: splitLine,
    longestRecord: source.longestRecord ?? defaultLongestRecord,
    parse: (records) => records.map(({ content }) => attempt(() => parse(textOf(content)))),
  };
  return fileReader({
    path: source.path,
    directory: source.directory,
    lastLineUnended: source.lastLineUnended,
    open: async (file) => ({ first: await firstOffset(file), format }),
    cuts: cutsAtLines,
  });
}

function parseJson(line: string): unknown {
  try {
    return exactly(line, JSON.parse(line)).value;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Problem('is not JSON');
    if (error instanceof Unacceptable)
      throw new Problem(
        'would lose something when it is read: a digit of a long number, a key that is there twice, or half of a surrogate pair',
      );
    throw error;
  }
}

async function cutsAtLines(file: SourceFile, first: number, partitions: number): Promise<number[]> {
  const cuts: number[] = [];
  for (let part = 1; part < partitions; part++) {
    const target = first + Math.floor(((file.size - first) * part) / partitions);
    if (target <= (cuts.at(-1) ?? first)) continue;
    const cut = await nextLine(file, target - 1, file.size);
    if (cut < file.size) cuts.push(cut);
  }
  return cuts;
}
