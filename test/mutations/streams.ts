import type { Mutation } from './mutation.ts';

const log = 'packages/keystride/src/table-sync/log';
const once = 'test/jobs/log-sync-once.test.ts';
const followed = 'test/jobs/log-sync.test.ts';
const keys = 'test/jobs/log-sync-keys.test.ts';
const parts = 'test/jobs/log-sync-parts.test.ts';
const circles = 'tables that refer to each other in a circle, and to themselves';

/** Syncs that follow the log of their source. */
export const streams: readonly Mutation[] = [
  {
    rule: 'a stream: its position is moved by compare-and-set',
    edits: [['packages/keystride/src/ledger/log.ts', `.where('cursor', '=', encodeCursor(from))`, '']],
    test: once,
    named: 'a batch that another run has applied is not applied again',
  },
  {
    rule: 'a stream: the source is told of what has committed in the sink alone',
    edits: [
      [
        `${log}/follower.ts`,
        'this.#position = position;\n  }',
        'this.#position = position;\n    this.#stream.confirm(position);\n  }',
      ],
    ],
    test: once,
    named: 'the source is told of what has committed in the sink alone',
  },
  {
    rule: 'a stream: what was read while it was applied is not told again',
    edits: [[`${log}/follow.ts`, 'if (batch.isUsed) throw', 'if (batch.rows < 0) throw']],
    test: once,
    named: 'is refused in its midst, is applied whole',
  },
  {
    rule: 'a stream: a transaction that is too large to be held is not committed by parts',
    edits: [
      [`${log}/follower.ts`, 'this.#large = large;', 'large.resolve();'],
      [
        `${log}/follower.ts`,
        `    const { changes, position: upper } = open;
    this.#moveTo(upper);
    return new LogBatch({ after, upper }, changes.splice(0), { rest: this.#rest(open, large) });`,
        `    this.#moveTo(after);
    return new LogBatch({ after, upper: after }, open.changes.splice(0));`,
      ],
    ],
    test: followed,
    named: 'is applied while it is read, and never seen in part',
  },
  {
    rule: 'a stream: what has changed while its tables were copied wins',
    edits: [
      [
        `${log}/steps.ts`,
        `            place,
            place.cursor,`,
        `            place,
            cursorAt(await markLog(source, stream)),`,
      ],
    ],
    test: followed,
    named: 'what is written while tables are copied, swept and followed arrives',
  },
  {
    rule: 'a stream: until the log has passed the copy, the sink is of several moments',
    edits: [
      [`${log}/follow.ts`, 'moved.unsettled || at(batch.after) < this.#settledFrom()', 'moved.unsettled'],
    ],
    test: followed,
    named: 'a key that another row has taken, when the copy saw it',
  },
  {
    rule: 'a stream: rows of a circle are written without what closes it first',
    edits: [
      [
        `${log}/apply.ts`,
        'isOfReference(refused) && isCircle && !way.loosely',
        'isOfReference(refused) && isCircle && way.all === undefined',
      ],
    ],
    test: followed,
    named: circles,
  },
  {
    rule: 'a stream: rows of a circle lose what closes it before they are removed',
    edits: [[`${log}/apply.ts`, '    if (loosely) await loosenRemovals(tables, pending, writer);\n', '']],
    test: followed,
    named: circles,
  },
  {
    rule: 'a stream: a key that is only written otherwise is not removed',
    edits: [[`${log}/writing.ts`, 'if (!hasLooseKey(table)) return;', 'return;']],
    test: keys,
    named: 'where the sink is of one moment, a key that is only written otherwise',
  },
  {
    rule: 'a key that was written down is that of its row, however it is written by now',
    edits: [
      [
        'packages/keystride/src/stores/postgres/read-by-keys.ts',
        '(${keyOf(columns)}) = (${values})',
        '(${sql.join(columns.map(({ reference }) => sql`${reference}::text`))}) = (${namesOf(columns)})',
      ],
    ],
    test: 'test/skips/read-by-keys.test.ts',
    named: 'a key that is written otherwise by now is the same key',
  },
  {
    rule: 'a stream: a removal that others still refer to waits for the end',
    edits: [
      [
        `${log}/apply.ts`,
        'if (this.#isEnding || !isOfReference(refused)) return false;',
        'if (this.#mostHeld > 0) return false;',
      ],
    ],
    test: parts,
    named: 'removals that wait for their children, with a unique value',
  },
  {
    rule: 'a stream: a row that gets another key keeps its unique values',
    edits: [
      [
        `${log}/apply.ts`,
        'return isThere && refused === undefined;',
        'return isThere && refused === change;',
      ],
    ],
    test: parts,
    named: 'keys that change with a unique value',
  },
  {
    rule: 'a stream: where the sink may not be emptied, its rows are removed',
    edits: [[`${log}/emptying.ts`, 'tries.refusal(empty, isNotTruncated)', 'tries.refusal(empty)']],
    test: parts,
    named: 'by a constraint and is emptied',
  },
  {
    rule: 'a stream: a constraint that may wait and is not met tells which row it forbids',
    edits: [
      [
        `${log}/tries.ts`,
        'if (!this.#begun || this.#applying.unsettled) return;',
        'if (this.#isPart || !this.#begun || this.#begun) return;',
      ],
    ],
    test: parts,
    named: 'by a constraint that may wait',
  },
  {
    rule: 'a stream: rows that are read again are tried one by one',
    edits: [[`${log}/settle.ts`, 'unsettled: true, each: true, aside', 'unsettled: true, aside']],
    test: parts,
    named: 'more rows than are looked for one by one',
  },
  {
    rule: 'a copy that a constraint between rows refuses reads these rows again',
    edits: [[`${log}/steps.ts`, 'if (!isBetweenRows(error)) throw error;', 'throw error;']],
    test: followed,
    named: 'a value that another row of the sink still has when the copy brings it',
  },
  {
    rule: 'among several tables, a column is of the table that is named before it',
    edits: [
      [
        'packages/keystride/src/table-sync/table-transforms.ts',
        '(one) => tableOf(list, one, tables)',
        '() => tables[0] ?? list',
      ],
    ],
    test: followed,
    named: 'among several tables each has its own transforms',
  },
  {
    rule: 'among several tables, the longest name before a column is its table',
    edits: [
      [
        'packages/keystride/src/table-sync/table-transforms.ts',
        'other.length - one.length',
        'one.length - other.length',
      ],
    ],
    test: 'test/jobs/table-transforms.test.ts',
    named: 'the longest name',
  },
];
