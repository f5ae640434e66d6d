import type { Mutation } from './mutation.ts';

const audit = 'packages/keystride/src/ledger/audit.ts';
const prune = 'packages/keystride/src/ledger/prune.ts';
const trail = 'packages/keystride/src/workflow/audit-trail.ts';

/** What is entered of changes, and what is given up. */
export const retention: readonly Mutation[] = [
  {
    rule: 'an entry of one source is made once',
    edits: [[audit, 'source: text(source),', 'source: null,']],
    test: 'test/engine/audit.test.ts',
    named: 'two entries of one source are one',
  },
  {
    rule: 'a run ends when its entries are made',
    edits: [[trail, 'if (this.#open > 0) await', 'if (this.#open < 0) await']],
    test: 'test/workflows/audit.test.ts',
    named: 'a control holds while the ledger takes no entries',
  },
  {
    rule: 'by a clock that has jumped nothing is pruned',
    edits: [
      [
        'packages/keystride/src/ledger/prune-clock.ts',
        'if (Math.max(ahead, behind) <= mostApart)',
        'if (Math.max(ahead, behind) >= 0)',
      ],
    ],
    test: 'test/engine/prune.test.ts',
    named: 'by a clock that is',
  },
  {
    rule: 'instances with open skips are not pruned unasked',
    edits: [
      [
        prune,
        `OR (NOT $2 AND EXISTS (SELECT FROM keystride.skip`,
        `OR (NOT $2 AND NOT EXISTS (SELECT FROM keystride.skip`,
      ],
    ],
    test: 'test/engine/prune.test.ts',
    named: 'what was pruned with its open skips is not redriven',
  },
  {
    rule: 'what was pruned is not redriven',
    edits: [
      [
        'packages/keystride/src/ledger/redrive-claim.ts',
        'if (now.original.pruned) throw',
        'if (now.original.epoch < 0) throw',
      ],
      ['packages/keystride/src/ledger/redrive-claim.ts', 'if (skips === 0) throw', 'if (skips < 0) throw'],
    ],
    test: 'test/engine/prune.test.ts',
    named: 'what was pruned with its open skips is not redriven',
  },
  {
    rule: 'a run that was reset does nothing of a pruned instance again',
    edits: [
      [
        'packages/keystride/src/ledger/hold-claim.ts',
        'if (row.pruned_at !== null) throw',
        'if (row.pruned_at === "") throw',
      ],
    ],
    test: 'test/engine/prune.test.ts',
    named: 'a run that was reset after its instance was pruned writes nothing',
  },
  {
    rule: 'a transaction of a prune is bounded',
    edits: [[prune, 'const atATime = 2_000;', 'const atATime = 200_000;']],
    test: 'test/engine/prune.test.ts',
    named: 'a transaction deletes a bounded number of rows',
  },
  {
    rule: 'the newest instances of a job are kept',
    edits: [[prune, 'ORDER BY closed_at DESC OFFSET $3 LIMIT 1', 'ORDER BY closed_at OFFSET $3 LIMIT 1']],
    test: 'test/engine/prune.test.ts',
    named: 'the newest of each job are kept',
  },
  {
    rule: 'the figures of an instance outlive its partitions',
    edits: [
      [
        'packages/keystride/src/ledger/instance.ts',
        '(row?.pruned_counters as Counters | null) ??',
        '(null as Counters | null) ??',
      ],
    ],
    test: 'test/engine/prune.test.ts',
    named: 'every instance is refused or restarted as before',
  },
];
