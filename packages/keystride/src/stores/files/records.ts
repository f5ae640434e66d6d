import { small } from '../../contract/bytes.ts';
import type { ItemRead, ReadPage } from '../../contract/reader.ts';
import { MalformedRecord, type SourceFile, UnusableFile } from './source-file.ts';

/** Where the record at the beginning of some bytes ends. */
export interface Extent {
  /** Bytes of the record, its line end included. */
  readonly length: number;
  /** Bytes of its content. */
  readonly content: number;
  /** Why it is no record of the format; it then ends where its first line ends. */
  readonly problem?: string;
}

/**
 * Finds the end of the record that the bytes begin with; undefined when it takes more bytes to tell.
 *
 * @param atEnd nothing follows these bytes; then there is always an answer.
 */
export type Splitter = (bytes: Buffer, atEnd: boolean) => Extent | undefined;

/** A record as it lies in the file. */
export interface RawRecord {
  readonly start: number;
  /** Where the next one begins. */
  readonly end: number;
  readonly content: Buffer;
  readonly problem?: string;
}

/** How a format's records are found and what they become. */
export interface RecordFormat<Item> {
  readonly split: Splitter;
  /** In bytes; a longer record is malformed. */
  readonly longestRecord: number;
  /** What each record holds, in their order. */
  parse(records: readonly RawRecord[]): ItemRead<Item>[];
}

/** Read at a time, in bytes. */
const blockSize = 64 * 1024;

/** The default bound of one record, in bytes. */
export const defaultLongestRecord = 1024 * 1024;

const lineFeed = 10;
const carriageReturn = 13;

/** What records are wanted. */
interface RecordsRequest {
  readonly from: number;
  readonly end: number;
  readonly limit: number;
  /** Of their contents together, about. @default no bound */
  readonly bytes?: number | undefined;
  readonly signal?: AbortSignal;
}

/** Records between two offsets, at most so many; empty lines are none. Holds no more than they and a block. */
export async function readRecords(
  file: SourceFile,
  { split, longestRecord }: Pick<RecordFormat<unknown>, 'split' | 'longestRecord'>,
  { from, end, limit, bytes: most = Infinity, signal }: RecordsRequest,
): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  let start = from;
  let bytes: Buffer = Buffer.alloc(0);
  let taken = 0;
  while (records.length < limit && start < end && taken < most) {
    const extent = split(bytes, start + bytes.length >= end);
    // Whatever happens to be in memory: a record that is too long is so for every reader.
    const tooLong = (extent?.length ?? bytes.length) > longestRecord;
    if (!extent && !tooLong) {
      bytes = await more(file, bytes, start + bytes.length, end);
      continue;
    }
    const record =
      extent && !tooLong
        ? { start, end: start + extent.length, ...contentOf(bytes, extent) }
        : { start, end: await nextLine(file, start, end), ...overlong(longestRecord) };
    if (record.problem !== undefined || record.content.length > 0) records.push(record);
    taken += record.content.length;
    bytes = bytes.subarray(record.end - start);
    start = record.end;
    signal?.throwIfAborted();
  }
  return records;
}

function contentOf(bytes: Buffer, { content, problem }: Extent): Pick<RawRecord, 'content' | 'problem'> {
  return { content: bytes.subarray(0, content), ...(problem === undefined ? {} : { problem }) };
}

function overlong(longestRecord: number): Pick<RawRecord, 'content' | 'problem'> {
  const problem = `is longer than ${longestRecord} bytes, or a quote in it is not closed`;
  return { content: Buffer.alloc(0), problem };
}

/** At least as much again as there is, so that a long record is not gone through block by block. */
async function more(file: SourceFile, bytes: Buffer, offset: number, end: number): Promise<Buffer> {
  const length = Math.min(Math.max(blockSize, bytes.length), end - offset);
  const added = await file.bytes(offset, length);
  if (added.length === 0) throw new UnusableFile(`${file.path} became shorter while it was being read.`);
  return bytes.length === 0 ? added : Buffer.concat([bytes, added]);
}

/** Where the line after the one at an offset begins, or `end`. */
export async function nextLine(file: SourceFile, offset: number, end: number): Promise<number> {
  for (let at = offset; at < end; at += blockSize) {
    const found = (await file.bytes(at, Math.min(blockSize, end - at))).indexOf(lineFeed);
    if (found >= 0) return at + found + 1;
  }
  return end;
}

/** The first line of some bytes; undefined when it does not end in them and more may come. */
export function splitLine(bytes: Buffer, atEnd: boolean): Extent | undefined {
  const found = bytes.indexOf(lineFeed);
  if (found < 0) return atEnd ? lineOf(bytes, bytes.length, bytes.length) : undefined;
  return lineOf(bytes, found, found + 1);
}

/** A record whose content ends before its line end, `\n` or `\r\n`. */
export function lineOf(bytes: Buffer, content: number, length: number): Extent {
  return { content: bytes[content - 1] === carriageReturn ? content - 1 : content, length };
}

/** The offset of the first record: after the mark that says a file is UTF-8, if there is one. */
export async function firstOffset(file: SourceFile): Promise<number> {
  return (await file.bytes(0, 3)).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
}

/** Records as a page of items: each by its cursor `[end, identity, start]`, its key the byte it begins at. */
export function pageOfRecords<Item>(
  file: SourceFile,
  records: readonly RawRecord[],
  format: RecordFormat<Item>,
  mostBytes = Infinity,
): ReadPage<Item> {
  const sizes = records.map(({ content }) => content.length);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const last = records.at(-1);
  const read = parseRecords(file, records, format);
  return {
    // An item that cannot be read keeps the places of the others; whoever reads asks for its error first.
    items: read.map((found) => ('item' in found ? found.item : (undefined as Item))),
    cursorAt: (index) => {
      const { start, end } = records[index] as RawRecord;
      return file.place(end, String(start));
    },
    keyAt: (index) => String(records[index]?.start),
    errorAt: (index) => {
      const found = read[index];
      return found && 'error' in found ? found.error : undefined;
    },
    ...(bytes > small ? { bytesAt: (index: number) => sizes[index] ?? 0 } : {}),
    ...(last && bytes >= mostBytes ? { passed: file.place(last.end, String(last.start)) } : {}),
  };
}

/** What the records hold, or why they do not; the others never suffer. */
export function parseRecords<Item>(
  file: SourceFile,
  records: readonly RawRecord[],
  format: RecordFormat<Item>,
): ItemRead<Item>[] {
  const parsed = format.parse(records.filter(({ problem }) => problem === undefined));
  let next = 0;
  return records.map((record) => {
    const found = record.problem === undefined ? parsed[next++] : { error: new Problem(record.problem) };
    if (!found) throw new Error('a format must answer for each record');
    if (!('error' in found && found.error instanceof Problem)) return found;
    const what = `the record at byte ${record.start} ${found.error.message}`;
    return { error: new MalformedRecord(`${file.path}: ${what}.`) };
  });
}

/** What is wrong with a record, as the end of a sentence. */
export class Problem extends Error {}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws Problem when the bytes are not UTF-8. */
export function textOf(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Problem('is not UTF-8');
  }
}

/** Does something with a single record; what it throws is that record's error. */
export function attempt<Item>(make: () => Item): ItemRead<Item> {
  try {
    return { item: make() };
  } catch (error) {
    return { error };
  }
}
