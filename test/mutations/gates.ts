import type { Mutation } from './mutation.ts';

const gate = 'packages/keystride/src/page/gate.ts';
const health = 'packages/keystride/src/stores/postgres/health.ts';
const ranges = 'packages/keystride/src/page/ranges.ts';
const quietHours = 'packages/keystride/src/contract/quiet-hours.ts';

const hours = 'test/engine/quiet-hours.test.ts';
const throttled = 'test/workflows/throttled.test.ts';
const figures = 'test/stores/health.test.ts';
const chunks = 'test/workflows/adaptive-chunks.test.ts';

/** What holds a run back: quiet hours, the health of the databases, a rate. */
export const gates: readonly Mutation[] = [
  {
    rule: 'quiet hours hold',
    edits: [[gate, 'quietNow(all, now) : null', 'null : null']],
    test: 'test/time-skipping/quiet-hours.test.ts',
    named: 'a job that meets quiet hours',
  },
  {
    rule: 'the quiet hours of a worker hold as those of a step do',
    edits: [[gate, '[...this.#quietHours, ...quietHours]', '[...quietHours]']],
    test: throttled,
    named: 'quiet hours of a worker',
  },
  {
    rule: 'quiet hours over midnight belong to the day on which they begin',
    edits: [[quietHours, 'return yesterday ? ', 'return today ? ']],
    test: hours,
    named: 'it is quiet exactly when',
  },
  {
    rule: 'quiet hours go by the clock of their time zone',
    edits: [[quietHours, `timeZone,\n    weekday: 'short'`, `timeZone: 'UTC',\n    weekday: 'short'`]],
    test: hours,
    named: 'it is quiet exactly when',
  },
  {
    rule: 'quiet hours are as long as the night, where the clocks change too',
    edits: [[quietHours, '(changes ? 1 : left)', 'left']],
    test: hours,
    named: 'a night in which the clocks change',
  },
  {
    rule: 'a busy database holds',
    edits: [[gate, 'throttled: busy ?', `throttled: busy === 'never' ?`]],
    test: throttled,
    named: 'held back from its start',
  },
  {
    rule: 'a page that runs is held back too',
    edits: [
      [
        'packages/keystride/src/page/page.ts',
        `temporalMs()))) moving.stop('pageOver');`,
        'temporalMs()))) return;',
      ],
    ],
    test: throttled,
    named: 'in the middle',
  },
  {
    rule: 'a health that cannot be read does not hold',
    edits: [[gate, 'this.#last = { busy: null, unreadable: `', 'this.#last = { unreadable: null, busy: `']],
    test: throttled,
    named: 'a health that cannot be read',
  },
  {
    rule: 'our own sessions do not hold us back',
    edits: [[health, `application_name NOT LIKE 'keystride%'`, 'pid <> pg_backend_pid()']],
    test: figures,
    named: 'sessions of others',
  },
  {
    rule: 'items start at their rate',
    edits: [['packages/keystride/src/page/pace.ts', 'if (this.#allowance < 1) return false;', '']],
    test: chunks,
    named: 'kept to over pages, by a step of items',
  },
  {
    rule: 'a set step keeps to a rate',
    edits: [[ranges, 'await this.#keepPace(next.rows, begun);', '']],
    test: chunks,
    named: 'kept to over pages, by a step of set',
  },
  {
    rule: 'a tasklet does not begin while it is held back',
    edits: [[gate, 'if (throttled) throw heldBack(', 'if (!throttled?.reason && throttled) throw heldBack(']],
    test: throttled,
    named: 'tasklets before they begin',
  },
  {
    rule: 'a verification is held back between two comparisons',
    edits: [['packages/keystride/src/operations/verify-page.ts', 'mayGoOn()\n', 'true\n']],
    test: throttled,
    named: 'verifications hold between two comparisons',
  },
  {
    rule: 'a replica is behind by the age of what it has not replayed',
    edits: [[health, 'Math.max(lag ?? 0, written.secondsAfter(position, now))', '(lag ?? 0)']],
    test: 'test/chaos/replica-lag.test.ts',
    named: 'the replay of a quiet server stands still',
  },
  {
    rule: 'a chunk of items that is too much for a statement is written by halves',
    edits: [
      [
        'packages/keystride/src/page/commit-chunk.ts',
        'if (!committer.chunkSize.wasCancelled(error.items, error.message)) throw error;',
        'throw error;',
      ],
    ],
    test: 'test/engine/chunk-transaction.test.ts',
    named: 'too much for one statement',
  },
  {
    rule: 'a range that is too much for a statement is tried with fewer rows, past the end of a page too',
    edits: [[ranges, '(!tooLarge || this.#cancel.signal.aborted)', '(!tooLarge || tooLarge)']],
    test: chunks,
    named: 'in pages of 0.5 s',
  },
];
