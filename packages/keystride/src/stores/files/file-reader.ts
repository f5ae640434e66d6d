import type { Cursor, KeyRange } from '../../contract/cursor.ts';
import type { ItemRead, ReadPlan, Reader } from '../../contract/reader.ts';
import { pageOfRecords, parseRecords, readRecords, type RecordFormat } from './records.ts';
import { type FilePlace, SourceFile, UnusableFile } from './source-file.ts';

/** What a file of records is made of. */
export interface FileSource<Item> extends FilePlace {
  /** Where the first record begins, in bytes, and how its records are read: a header may say that. */
  open(file: SourceFile): Promise<{ readonly first: number; readonly format: RecordFormat<Item> }>;
  /** Whether the last line may lack its line end. @default false */
  readonly lastLineUnended?: boolean | undefined;
  /** Offsets between the first record and the end where ranges may be cut, in order. @default none: one range */
  cuts?(file: SourceFile, first: number, partitions: number): Promise<readonly number[]>;
}

/** Reads a file of records by byte offsets, so that a restart seeks instead of reading it all again. */
export function fileReader<Item>({
  open,
  cuts,
  lastLineUnended = false,
  ...place
}: FileSource<Item>): Reader<Item> {
  return {
    plan: ({ partitions, signal }) => {
      const plan = async (file: SourceFile): Promise<ReadPlan> => {
        const { first } = await open(file);
        if (first >= file.size) return { ranges: [], expected: 0 };
        if (!lastLineUnended) await requireEnded(file);
        const inside = partitions < 2 ? [] : ((await cuts?.(file, first, partitions)) ?? []);
        const uppers = [...inside, file.size].map((offset) => file.place(offset));
        const ranges: KeyRange[] = uppers.map((upper, index) => ({
          lower: uppers[index - 1] ?? null,
          upper,
        }));
        return { ranges, expected: null };
      };
      return SourceFile.with(place, null, plan, signal);
    },
    read: ({ range, after, limit, bytes, signal }) => {
      const page = async (file: SourceFile) => {
        const { first, format } = await open(file);
        const from = Number((after ?? range.lower)?.[0] ?? first);
        const end = Number(range.upper?.[0] ?? file.size);
        const records = await readRecords(file, format, { from, end, limit, bytes, signal });
        return pageOfRecords(file, records, format, bytes);
      };
      return SourceFile.with(place, range.upper, page, signal);
    },
    readKeys: async ({ keys, signal }) => (keys.length === 0 ? [] : readAgain(place, open, keys, signal)),
  };
}

/** @throws UnusableFile for one whose last line has no end: `12` may be half of `1234`, whose other half is still to come. */
async function requireEnded(file: SourceFile): Promise<void> {
  if (await file.lineEndsAt(file.size)) return;
  throw new UnusableFile(
    `${file.path}: the last line has no line end, so the file may be cut, or still be written, and its last record be half of one. ` +
      'Let whoever writes it end the line, or move it there when it is whole; where its lines are joined without one, say `lastLineUnended: true`.',
  );
}

async function readAgain<Item>(
  place: FilePlace,
  open: FileSource<Item>['open'],
  keys: readonly Cursor[],
  signal: AbortSignal,
): Promise<ItemRead<Item>[]> {
  const [planned] = keys;
  if (!planned || keys.some((key) => key[1] !== planned[1]))
    throw new UnusableFile(`${place.path}: the keys were taken from different contents of this file.`);
  const read = async (file: SourceFile) => {
    const { format } = await open(file);
    const found: ItemRead<Item>[] = [];
    for (const [end, , start] of keys) {
      const extent = { from: Number(start), end: Number(end), limit: 1 };
      found.push(...parseRecords(file, await readRecords(file, format, extent), format));
    }
    return found;
  };
  return SourceFile.with(place, planned, read, signal);
}
