import type { Mutation } from './mutation.ts';

const readAhead = 'packages/keystride/src/page/read-ahead.ts';
const usableRead = 'packages/keystride/src/page/usable-read.ts';
const ranges = 'packages/keystride/src/page/ranges.ts';
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
];
