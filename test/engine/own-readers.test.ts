import { describe, expect, test } from 'vitest';
import { type Cursor, cursorOf, type KeyRange } from '../../packages/keystride/src/contract/cursor.ts';
import {
  emptyPage,
  type ReadPage,
  type Reader,
  type ReadRequest,
  type RowRange,
} from '../../packages/keystride/src/contract/reader.ts';
import { chunks, sets } from '../../packages/keystride/src/job/chunks.ts';
import { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import { ChunkSize } from '../../packages/keystride/src/page/chunk-size.ts';
import { Decisions } from '../../packages/keystride/src/page/decisions.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import { Pipeline } from '../../packages/keystride/src/page/pipeline.ts';
import { Ranges } from '../../packages/keystride/src/page/ranges.ts';

// Readers that people write, in TypeScript or not: what they answer is read to its end, or refused by what is wrong with it.
const count = 25;
const limit = 10;
const all = Array.from({ length: count }, (_, index) => index);
const at = (index: number) => cursorOf([String(index)]);
const behind = (after: Cursor | null) => (after === null ? 0 : Number(after[0]) + 1);
const retry = { retries: 0, initialMs: 1, maximumMs: 1 };
const policy = { chunkSize: limit, concurrency: 1, pageSeconds: 10, retry, skipLimit: 0 };
const whole: KeyRange = { lower: null, upper: null };

/** The numbers that a page starts with and those behind them, as a reader gives them. */
function pageOf(numbers: readonly number[]): ReadPage<number> {
  const indexOf = (index: number) => numbers[index] as number;
  return {
    items: numbers,
    cursorAt: (index) => at(indexOf(index)),
    keyAt: (index) => String(indexOf(index)),
  };
}

const below = (first: number, end: number) => all.slice(Math.max(0, first), Math.max(0, end));

/** Reads as a page activity does. @returns what was committed, in order. */
async function read(
  reading: (request: ReadRequest) => ReadPage<number> | Promise<ReadPage<number>>,
  range = whole,
  after: Cursor | null = null,
): Promise<number[]> {
  const reader: Reader<number> = {
    plan: () => Promise.resolve({ ranges: [range], expected: null }),
    read: async (request) => reading(request),
  };
  const work = chunks<number, number>({
    reader,
    processor: (item) => item,
    writer: { write: () => Promise.resolve() },
  });
  const committed: number[] = [];
  const abort = new AbortController();
  const pipeline = new Pipeline({
    work,
    range,
    after,
    policy,
    processing: {
      processor: work.processor,
      classify: classifyWith(undefined),
      retry,
      budget: new ByteBudget(1_000_000),
      signal: abort.signal,
    },
    prepare: (chunk) => Promise.resolve(chunk),
    commit: (chunk) => Promise.resolve(void committed.push(...(chunk.outputs as number[]))),
    abort: () => abort.abort(),
  });
  expect(await pipeline.run()).toBe(true);
  return committed;
}

describe('a range is read to its end', () => {
  test.for<[string, (request: ReadRequest) => ReadPage<number>]>([
    ['in full pages', ({ after, limit: most }) => pageOf(below(behind(after), behind(after) + most))],
    [
      'in pages of three items, fewer than asked',
      ({ after }) => pageOf(below(behind(after), behind(after) + 3)),
    ],
    ['in pages of one item', ({ after }) => pageOf(below(behind(after), behind(after) + 1))],
    [
      'in pages of which the last says so',
      ({ after }) => ({
        ...pageOf(below(behind(after), behind(after) + 4)),
        last: behind(after) + 4 >= count,
      }),
    ],
    [
      'in pages some of which are empty and say how far they have looked',
      ({ after }) =>
        behind(after) % 2 === 0
          ? pageOf(below(behind(after), behind(after) + 1))
          : behind(after) < count
            ? emptyPage(at(behind(after)))
            : emptyPage(),
    ],
  ])('%s', async ([what, reading]) => {
    const expected = what.includes('empty') ? all.filter((item) => item % 2 === 0) : all;
    expect(await read(reading)).toEqual(expected);
  });

  test('without asking once more, where a page is the last one, or has come to the upper end', async () => {
    let reads = 0;
    const reading = ({ after }: ReadRequest) => {
      reads += 1;
      return pageOf(below(behind(after), behind(after) + 7));
    };
    await read(reading, { lower: null, upper: at(count - 1) });
    expect(reads).toBe(4);
    reads = 0;
    await read((request) => ({ ...reading(request), last: behind(request.after) + 7 >= count }));
    expect(reads).toBe(4);
  });
});

/** What somebody else's code answers. */
const odd = (page: unknown) => page as ReadPage<number>;

describe('a reader is refused', () => {
  const first = ({ limit: most }: ReadRequest) => below(0, most);
  test.for<
    [string, (request: ReadRequest) => ReadPage<number>, RegExp, { range?: KeyRange; after?: Cursor }?]
  >([
    ['that gives no page', () => odd(undefined), /answered with undefined for a page/u],
    ['that gives a list for a page', () => odd([1, 2]), /gave undefined for the list of items/u],
    [
      'of which items are no list',
      () => odd({ ...pageOf([1]), items: new Set([1]) }),
      /gave a Set for the list/u,
    ],
    [
      'that gives no functions',
      () => odd({ items: [1], last: true }),
      /without the functions cursorAt and keyAt/u,
    ],
    [
      'that gives more than it was asked for',
      ({ limit: most }) => pageOf(below(0, most + 1)),
      /gave 11 items for the 10/u,
    ],
    ['that gives the same page again', (request) => pageOf(first(request)), /item once more/u],
    [
      'that gives its last item once more',
      ({ after }) => pageOf(below(behind(after) - 1, behind(after) + 5)),
      /item once more/u,
    ],
    [
      'that goes back behind what is done',
      ({ after }) => pageOf(below(behind(after) - 3, behind(after) + 5)),
      /item once more/u,
    ],
    [
      'that goes round in a circle',
      ({ after }) => pageOf(below(behind(after) % 20, (behind(after) % 20) + 10)),
      /came back to where it has been/u,
    ],
    [
      'that finds nothing and does not move on',
      ({ after }) => emptyPage(after ?? at(0)),
      /cursors do not move on/u,
    ],
    [
      'that reads on behind the end of its range',
      ({ after }) => pageOf(below(behind(after), behind(after) + 10)),
      /behind the end of its range/u,
      { range: { lower: null, upper: at(13) } },
    ],
    [
      'that takes the lower end for a part of its range',
      ({ after, range }) => pageOf(below(Number((after ?? range.lower)?.[0]), 9)),
      /item once more/u,
      { range: { lower: at(5), upper: at(20) } },
    ],
    [
      'that begins at the first item again after a restart',
      (request) => pageOf(first(request)),
      /item once more/u,
      { after: at(7) },
    ],
    [
      'that gives two items one cursor',
      () => ({ ...pageOf([0, 1]), cursorAt: () => at(0) }),
      /two items one cursor/u,
    ],
    [
      'whose cursors are numbers',
      () => odd({ ...pageOf([0, 1]), cursorAt: (index: number) => [index] }),
      /cursor that is none/u,
    ],
    ['whose cursors are a text', () => odd({ ...pageOf([0, 1]), cursorAt: String }), /cursor that is none/u],
    [
      'whose cursors are empty',
      () => ({ ...pageOf([0, 1]), cursorAt: () => cursorOf([]) }),
      /cursor that is none/u,
    ],
    [
      'whose cursors have holes',
      () => odd({ ...pageOf([0]), cursorAt: () => [undefined] }),
      /cursor that is none/u,
    ],
    [
      'whose keys are numbers',
      () => odd({ ...pageOf([5, 6]), keyAt: (index: number) => index }),
      /named an item by 0/u,
    ],
    ['that has passed no cursor', () => odd({ ...pageOf([0]), passed: 7 }), /gave 7 for `passed`/u],
    ['whose last is a text', () => odd({ ...pageOf([0]), last: 'false' }), /gave a text for `last`/u],
  ])('%s', async ([, reading, message, place]) => {
    await expect(read(reading, place?.range, place?.after)).rejects.toMatchObject({
      name: 'UnusableAnswer',
      message: expect.stringMatching(message),
    });
  });
});

/** Reads the ranges of a set step as a page activity does. @returns the rows of what was committed. */
async function readRanges(next: (request: ReadRequest) => RowRange | null, range = whole): Promise<number[]> {
  const committed: number[] = [];
  const work = sets<RowRange>({
    reader: {
      plan: () => Promise.resolve({ ranges: [range], expected: null }),
      next: (request) => Promise.resolve(next(request)),
    },
    write: ({ rows }) => Promise.resolve(rows),
  });
  const chunkSize = new ChunkSize(limit, undefined, new Decisions(0));
  const commit = (found: RowRange | null) => Promise.resolve(void (found && committed.push(found.rows)));
  const moving = new Ranges({ work, range, after: null, policy, chunkSize, commit });
  expect(await moving.run()).toBe(true);
  return committed;
}

const rangeOf = (after: Cursor | null, rows: number): RowRange | null => {
  const found = Math.min(rows, count - behind(after));
  return found > 0 ? { upper: at(behind(after) + found - 1), rows: found } : null;
};

describe('the ranges of a set step', () => {
  test('are read to the end, however few rows each has', async () => {
    expect(await readRanges(({ after }) => rangeOf(after, 10))).toEqual([10, 10, 5]);
    expect(await readRanges(({ after }) => rangeOf(after, 7))).toEqual([7, 7, 7, 4]);
  });

  test('are asked for no more behind the last one', async () => {
    let asked = 0;
    const counted = ({ after }: ReadRequest) => (asked++, rangeOf(after, 10));
    expect(await readRanges(counted, { lower: null, upper: at(count - 1) })).toEqual([10, 10, 5]);
    expect(asked).toBe(3);
  });

  test.for<[string, (request: ReadRequest) => unknown, RegExp]>([
    ['none at all', () => undefined, /answered with undefined/u],
    ['one that does not move on', () => ({ upper: at(4), rows: 5 }), /cursors do not move on/u],
    ['one without a key', () => ({ rows: 5 }), /gave undefined for the key of the last row/u],
    [
      'a number of rows that is a text',
      () => ({ upper: at(4), rows: '5' }),
      /gave a text for the number of rows/u,
    ],
    [
      'a number of rows that is none',
      () => ({ upper: at(4), rows: Number.NaN }),
      /gave NaN for the number of rows/u,
    ],
    ['rows below zero', () => ({ upper: at(4), rows: -1 }), /gave -1 for the number of rows/u],
    ['half a row', () => ({ upper: at(4), rows: 0.5 }), /gave 0.5 for the number of rows/u],
  ])('are refused for %s', async ([, reading, message]) => {
    await expect(readRanges((request) => reading(request) as RowRange)).rejects.toMatchObject({
      name: 'UnusableAnswer',
      message: expect.stringMatching(message),
    });
  });
});
