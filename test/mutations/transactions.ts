import type { Mutation } from './mutation.ts';

const checkpoint = 'packages/keystride/src/ledger/checkpoint.ts';
const claim = 'packages/keystride/src/ledger/claim.ts';
const commitChunk = 'packages/keystride/src/page/commit-chunk.ts';
const commitOnce = 'packages/keystride/src/page/commit-once.ts';
const pipeline = 'packages/keystride/src/page/pipeline.ts';
const transaction = 'packages/keystride/src/stores/postgres/transaction.ts';
const byItself = 'test/engine/chunk-transaction.test.ts';
const books = 'test/conformance/transaction-and-books.test.ts';
const jobs = 'test/conformance/job-and-instance.test.ts';
const skipping = 'test/conformance/skip-and-filter.test.ts';
const retrying = 'test/conformance/retry.test.ts';

/** The chunk's transaction and the claim. */
export const transactions: readonly Mutation[] = [
  {
    rule: 'an execution that has lost its instance commits nothing (epoch)',
    edits: [[checkpoint, 'AND epoch = $4', 'AND $4::bigint > 0']],
    test: byItself,
    named: 'claimed by a later one',
  },
  {
    rule: 'an attempt that has lost its page commits nothing (holder)',
    edits: [[checkpoint, 'AND holder = $5', 'AND $5::text IS NOT NULL']],
    test: byItself,
    named: 'taken by a later one',
  },
  {
    rule: 'a chunk that has committed does not commit again (seq)',
    edits: [[checkpoint, 'AND seq = $6', 'AND $6::bigint >= 0']],
    test: byItself,
    named: 'committed already',
  },
  {
    rule: 'a compare-and-set that finds no row rolls the chunk back',
    edits: [
      [checkpoint, 'values));\n  if (rowCount === 0) throw', 'values));\n  if (rowCount === null) throw'],
    ],
    test: byItself,
    named: 'the compare-and-set moves nothing',
  },
  {
    rule: 'checkpoint and rows commit together',
    edits: [
      [
        commitChunk,
        'await advanceCheckpoint(transaction, lease, advance);',
        `const { inTransaction } = await import('../../stores/postgres/transaction.ts');
         await committer.ledger.transaction((own) => advanceCheckpoint(own, lease, advance));`,
      ],
    ],
    test: retrying,
    named: '22: ',
  },
  {
    rule: 'COMMIT that was answered with ROLLBACK is no commit',
    edits: [[transaction, `result.command !== 'COMMIT'`, `result.command === ''`]],
    test: books,
    named: 'COMMIT is answered with ROLLBACK',
  },
  {
    rule: 'a COMMIT without an answer is not taken for done',
    edits: [[checkpoint, 'return Number(row.seq) === lease.seq + 1;', 'return true;']],
    test: byItself,
    named: 'that never arrived',
  },
  {
    rule: 'a COMMIT without an answer is not taken for lost',
    edits: [
      [
        commitOnce,
        '!(await resolveCommit(committer, lease))',
        '(await resolveCommit(committer, lease)) !== null',
      ],
    ],
    test: byItself,
    named: 'that was done is not',
  },
  {
    rule: 'a frozen worker loses its locks before its page is given to another',
    edits: [
      [transaction, "...timeOut('idle_in_transaction_session_timeout', idleTimeoutMs),", ''],
      [transaction, "...timeOut('lock_timeout', lockTimeoutMs),", ''],
      [transaction, "...timeOut('statement_timeout', statementTimeoutMs),", ''],
    ],
    test: jobs,
    named: 'frozen in the Writer',
  },
  {
    rule: 'counters are what has committed, corrected by what only writing shows',
    edits: [[commitChunk, 'written: counted.written - expected.written', 'written: 0']],
    test: skipping,
    named: '8: ',
  },
  {
    rule: 'a step completes only with books that balance',
    edits: [
      [
        'packages/keystride/src/ledger/step.ts',
        '!booksBalance(state.counters) || skipRows !== state.counters.skipped',
        'skipRows < 0',
      ],
    ],
    test: books,
    named: '35: ',
  },
  {
    rule: 'a workflow of the same id in another namespace is another run',
    edits: [[claim, '(owner.namespace ?? request.namespace) !== request.namespace', 'false']],
    test: 'test/workflows/two-namespaces.test.ts',
    named: 'what runs in one namespace',
  },
  {
    rule: 'what another project has claimed is refused',
    edits: [[claim, 'refuseOtherProject(ledger.project, instance, owner.project);', '']],
    test: 'test/engine/two-projects.test.ts',
    named: 'what a project has claimed',
  },
  {
    rule: 'an instance that runs is not claimed',
    edits: [
      [
        claim,
        '(await isOpen(owner.workflowId, owner.namespace))',
        '!(await isOpen(owner.workflowId, owner.namespace))',
      ],
    ],
    test: jobs,
    named: '36: ',
  },
  {
    rule: 'a claim is decided by the epoch that was read',
    edits: [
      [
        claim,
        `\n        .where('epoch', '=', String(owner.epoch))\n        .where('status', '<>'`,
        `\n        .where('status', '<>'`,
      ],
    ],
    test: byItself,
    named: 'won by one of ten',
  },
  {
    rule: 'a claim is the same for an activity that is retried',
    edits: [[claim, 'owner.runId === request.runId', 'owner.runId === null']],
    test: byItself,
    named: 'asked for again by the same run',
  },
  {
    rule: 'a continued run whose instance was claimed is fenced',
    edits: [[claim, 'if (owner && isHeldBy(carried, owner)) return true;', 'if (owner) return true;']],
    test: byItself,
    named: 'carried into a continued run',
  },
  {
    rule: 'an instance that has completed is not run again',
    edits: [
      [claim, `if (owner.status === 'completed') throw`, `if (owner.status === '') throw`],
      [claim, `\n        .where('status', '<>', 'completed')`, ''],
    ],
    test: jobs,
    named: '37: ',
  },
  {
    rule: 'the checkpoint never runs ahead of an item that is in hand',
    edits: [
      [
        'packages/keystride/src/page/item-queue.ts',
        "if (outcome === pending) return { length, stop: 'pending' };",
        'if (outcome === pending) { length++; continue; }',
      ],
    ],
    test: 'test/engine/pipeline.test.ts',
    named: 'goes on processing behind a slow item',
  },
  {
    rule: 'nothing behind a chunk that did not commit commits',
    edits: [
      [pipeline, 'while (!this.#gap && ', 'while ('],
      [pipeline, '      this.#chunks = [];\n', '      this.#chunks.shift();\n'],
    ],
    test: 'test/engine/pipeline.test.ts',
    named: 'lets nothing behind a chunk',
  },
  {
    rule: 'the transaction begins when outside writes are acknowledged',
    edits: [[pipeline, 'await this.#request.commit(ready);', 'await this.#request.commit(chunk);']],
    test: byItself,
    named: 'a writer that knows which items failed',
  },
  {
    rule: 'what a page answers outlasts a crash of the database',
    edits: [
      [checkpoint, 'leftBy(lease));\n  if (rowCount === 0)', 'leftBy(lease));\n  if (rowCount === null)'],
    ],
    test: byItself,
    named: 'a page that does not wait for the disk',
  },
];
