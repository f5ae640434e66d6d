import type { Mutation } from './mutation.ts';

const skips = 'packages/keystride/src/ledger/skips.ts';
const writeChunk = 'packages/keystride/src/page/write-chunk.ts';
const processItem = 'packages/keystride/src/page/process-item.ts';
const byItself = 'test/engine/chunk-transaction.test.ts';
const skipping = 'test/conformance/skip-and-filter.test.ts';
const retrying = 'test/conformance/retry.test.ts';

/** Skips, retries and filters. */
export const items: readonly Mutation[] = [
  {
    rule: 'never one skip more than the limit commits',
    edits: [[skips, '<= skip_limit`', '<= skip_limit + 1`']],
    test: skipping,
    named: '20: one more than the limit',
  },
  {
    rule: 'a rate is held against what was reached',
    edits: [[skips, 'skipped <= share * reached', 'skipped < share * reached']],
    test: skipping,
    named: '21: ',
  },
  {
    rule: 'a rate counts after its sample',
    edits: [[skips, 'reached < afterItems || ', '']],
    test: skipping,
    named: '21: ',
  },
  {
    rule: 'what a half has written before it failed is taken back',
    edits: [[writeChunk, `'ROLLBACK TO SAVEPOINT keystride_half'`, `'RELEASE SAVEPOINT keystride_half'`]],
    test: skipping,
    named: '8: ',
  },
  {
    rule: 'bad items are found by halves',
    edits: [[writeChunk, 'Math.floor((from + to) / 2)', 'from + Math.max(1, Math.floor((to - from) / 50))']],
    test: byItself,
    named: '5 poison rows',
  },
  {
    rule: 'a writer that knows which items failed is given those alone again',
    edits: [['packages/keystride/src/page/prepare-chunk.ts', 'indexes = settled.again;', '']],
    test: byItself,
    named: 'a writer that knows which items failed',
  },
  {
    rule: 'Retry-After is honoured',
    edits: [[processItem, 'Math.max(asked ?? least, processing.retry.initialMs)', 'least']],
    test: retrying,
    named: '28: ',
  },
  {
    rule: 'a wait is not longer than a timer can wait',
    edits: [[processItem, 'milliseconds <= longestWait ? milliseconds : longestWait', 'milliseconds']],
    test: retrying,
    named: 'is not asked again meanwhile',
  },
  {
    rule: 'a number that the database gave tells nobody that a row is there',
    edits: [
      ['packages/keystride/src/stores/postgres/kept-rows.ts', 'if (rowCount === 0) return;', 'return;'],
    ],
    test: 'test/stores/table-writer.test.ts',
    named: 'is not taken for one that is there',
  },
  {
    rule: 'a service that is busy uses up no retry',
    edits: [[processItem, `found.decision === 'retry' && !found.busy`, `found.decision === 'retry'`]],
    test: 'test/chaos/busy-api.test.ts',
    named: 'asks 250 to come back later',
  },
  {
    rule: 'an item whose retries are used up is skipped only where its class may be',
    edits: [[processItem, `(exhausted && found.exhausted === 'skip')`, 'exhausted']],
    test: retrying,
    named: '23: ',
  },
  {
    rule: 'what is not transient is not tried again',
    edits: [[processItem, `if (found.decision === 'fail' || exhausted)`, 'if (exhausted)']],
    test: retrying,
    named: '26: ',
  },
  {
    rule: 'a fingerprint is the cause without its particulars',
    edits: [[skips, `.replaceAll(/\\S*\\d\\S*/gu, '#')`, '']],
    test: 'test/engine/errors.test.ts',
    named: 'a fingerprint',
  },
  {
    rule: 'an item that was filtered is counted, once',
    edits: [
      [
        'packages/keystride/src/page/chunk.ts',
        'if (outcome === filteredOut) left++;',
        'if (outcome === filteredOut) left += 0;',
      ],
    ],
    test: skipping,
    named: '7: ',
  },
];
