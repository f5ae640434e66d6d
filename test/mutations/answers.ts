import type { Mutation } from './mutation.ts';

const readAhead = 'packages/keystride/src/page/read-ahead.ts';
const usableRead = 'packages/keystride/src/page/usable-read.ts';
const ranges = 'packages/keystride/src/page/ranges.ts';
const writeChunk = 'packages/keystride/src/page/write-chunk.ts';
const processItem = 'packages/keystride/src/page/process-item.ts';
const transaction = 'packages/keystride/src/stores/postgres/transaction.ts';
const ownWriters = 'test/engine/own-writers.test.ts';
const ownReaders = 'test/engine/own-readers.test.ts';

/** What readers, processors, writers and tasklets that people write may answer. */
export const answers: readonly Mutation[] = [
  {
    rule: 'a page with fewer items than were asked for is not the last one',
    edits: [[readAhead, 'page.last === true || !goesOn', 'page.last === true || count < 10 || !goesOn']],
    test: ownReaders,
    named: 'in pages of three items',
  },
  {
    rule: 'a range with fewer rows than were asked for is not the last one',
    edits: [
      [ranges, '(last === true ||', '(rows < 10 || last === true ||'],
      [ranges, '{ open, last, upper }', '{ open, last, upper, rows }'],
    ],
    test: ownReaders,
    named: 'are read to the end',
  },
  {
    rule: 'a reader that goes round in a circle is found out',
    edits: [[usableRead, 'if (this.#ends.has(text))', 'if (this.#ends.size > 3 && this.#ends.size < 3)']],
    test: ownReaders,
    named: 'that finds nothing and does not move on',
  },
  {
    rule: 'an item that is done is not taken once more',
    edits: [[usableRead, 'if (sameCursor(cursor, from))', 'if (sameCursor(cursor, null))']],
    test: ownReaders,
    named: 'that gives its last item once more',
  },
  {
    rule: 'two items do not have one cursor',
    edits: [[usableRead, 'if (sameCursor(cursor, before))', 'if (sameCursor(cursor, null))']],
    test: ownReaders,
    named: 'that gives two items one cursor',
  },
  {
    rule: 'a range is not read beyond its end',
    edits: [
      [
        usableRead,
        'if (index < end && sameCursor(cursor, upper))',
        'if (index < end && sameCursor(cursor, null))',
      ],
    ],
    test: ownReaders,
    named: 'that reads on behind the end',
  },
  {
    rule: 'each attempt to write has a list of its own',
    edits: [
      [
        writeChunk,
        'writer.write(outputs.slice(from, to), transaction)',
        'writer.write(outputs, transaction)',
      ],
    ],
    test: ownWriters,
    named: 'a writer that empties what it was given',
  },
  {
    rule: 'a processor that returns nothing is refused',
    edits: [[processItem, 'if (output === undefined)', 'if (output === Symbol.iterator)']],
    test: ownWriters,
    named: 'that returns nothing is refused',
  },
  {
    rule: 'what a processor returns is awaited, whatever can be',
    edits: [[processItem, "'then' in output &&", "output instanceof Promise && 'then' in output &&"]],
    test: ownWriters,
    named: 'takes for a promise is waited for',
  },
  {
    rule: 'a writer awaits its statements',
    edits: [[transaction, 'if (underWay === 0) return result;', 'if (underWay < 100) return result;']],
    test: ownWriters,
    named: 'is not awaited fails its transaction',
  },
  {
    rule: 'no statement follows the end of its transaction',
    edits: [[transaction, 'end: () => void (ended = true)', 'end: () => undefined']],
    test: ownWriters,
    named: 'comes after its transaction is not run',
  },
  {
    rule: 'the ranges of a plan meet',
    edits: [
      [
        'packages/keystride/src/operations/usable-plan.ts',
        'sameCursor(before.upper, lower)',
        'before.upper !== lower',
      ],
    ],
    test: 'test/engine/own-plans.test.ts',
    named: 'refused with a gap',
  },
];
