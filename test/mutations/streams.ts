import type { Mutation } from './mutation.ts';

const log = 'packages/keystride/src/table-sync/log';
const once = 'test/jobs/log-sync-once.test.ts';
const followed = 'test/jobs/log-sync.test.ts';
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
    edits: [[`${log}/follow.ts`, 'moved.unsettled || at(batch.after) < this.#settledAt', 'moved.unsettled']],
    test: followed,
    named: 'a key that another row has taken, when the copy saw it',
  },
  {
    rule: 'a stream: rows of a circle are written without what closes it first',
    edits: [
      [
        `${log}/apply.ts`,
        'if (!isCircle || !(unsettled || isOfReference(refused))) return refused;',
        'if (!isCircle || !unsettled) return refused;',
      ],
    ],
    test: followed,
    named: circles,
  },
  {
    rule: 'a stream: rows of a circle lose what closes it before they are removed',
    edits: [
      [
        `${log}/apply.ts`,
        `    if (!all) return;
    await this.#loosenRemovals(pending);`,
        '    if (!all) return;',
      ],
    ],
    test: followed,
    named: circles,
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
