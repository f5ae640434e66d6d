/** A change of the sources that breaks one rule, and the test that has to notice. */
export interface Mutation {
  /** The rule of docs/protocol.md that it breaks. */
  readonly rule: string;
  /** What is changed: the text stands in the file exactly once. */
  readonly edits: readonly (readonly [file: string, search: string, replace: string])[];
  readonly test: string;
  /** Names the test within its file, as `vitest -t` takes it. */
  readonly named: string;
}

const checkpoint = 'src/engine/activity/ledger/checkpoint.ts';
const claim = 'src/engine/activity/ledger/claim.ts';
const skips = 'src/engine/activity/ledger/skips.ts';
const commitChunk = 'src/engine/activity/commit-chunk.ts';
const commitOnce = 'src/engine/activity/commit-once.ts';
const writeChunk = 'src/engine/activity/write-chunk.ts';
const pipeline = 'src/engine/activity/pipeline.ts';
const processItem = 'src/engine/activity/process-item.ts';
const transaction = 'src/stores/postgres/transaction.ts';
const keysetReader = 'src/stores/postgres/keyset-reader.ts';
const keyColumns = 'src/stores/postgres/key-columns.ts';
const mongoReader = 'src/stores/mongo/keyset-reader.ts';

const byItself = 'test/engine/chunk-transaction.test.ts';
const paging = 'test/jobs/keyset-paging.test.ts';
const books = 'test/conformance/transaction-and-books.test.ts';
const jobs = 'test/conformance/job-and-instance.test.ts';
const skipping = 'test/conformance/skip-and-filter.test.ts';
const retrying = 'test/conformance/retry.test.ts';

/** The chunk's transaction and the claim. */
const transactions: readonly Mutation[] = [
  {
    rule: 'an execution that has lost its instance commits nothing (epoch)',
    edits: [
      [checkpoint, `.where('epoch', '=', String(key.claim.epoch))\n    .where('holder'`, `.where('holder'`],
    ],
    test: byItself,
    named: 'claimed by a later one',
  },
  {
    rule: 'an attempt that has lost its page commits nothing (holder)',
    edits: [[checkpoint, `\n    .where('holder', '=', holder)`, '']],
    test: byItself,
    named: 'taken by a later one',
  },
  {
    rule: 'a chunk that has committed does not commit again (seq)',
    edits: [[checkpoint, `\n    .where('seq', '=', String(seq))`, '']],
    test: byItself,
    named: 'committed already',
  },
  {
    rule: 'a compare-and-set that finds no row rolls the chunk back',
    edits: [[checkpoint, 'if (moved.length === 0) throw', 'if (moved.length < 0) throw']],
    test: byItself,
    named: 'the compare-and-set moves nothing',
  },
  {
    rule: 'checkpoint and rows commit together',
    edits: [
      [
        commitChunk,
        'await advanceCheckpoint(transaction, key, holder, seq, advance);',
        `const { inTransaction } = await import('../../stores/postgres/transaction.ts');
         await inTransaction(committer.pool, (own) => advanceCheckpoint(own, key, holder, seq, advance));`,
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
    edits: [[checkpoint, 'return Number(row.seq) === seq + 1;', 'return true;']],
    test: byItself,
    named: 'that never arrived',
  },
  {
    rule: 'a COMMIT without an answer is not taken for lost',
    edits: [
      [
        commitOnce,
        '!(await resolveCommit(committer, seq))',
        '(await resolveCommit(committer, seq)) !== null',
      ],
    ],
    test: byItself,
    named: 'that was done is not',
  },
  {
    rule: 'a frozen worker loses its locks before its page is given to another',
    edits: [
      [transaction, '`SET LOCAL idle_in_transaction_session_timeout = ${Math.round(idleTimeoutMs)}`,', ''],
      [transaction, '`SET LOCAL lock_timeout = ${lockTimeoutMs}`,', ''],
      [transaction, '`SET LOCAL statement_timeout = ${Math.round(statementTimeoutMs)}`,', ''],
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
        'src/engine/activity/ledger/step.ts',
        '!booksBalance(state.counters) || skipRows !== state.counters.skipped',
        'skipRows < 0',
      ],
    ],
    test: books,
    named: '35: ',
  },
  {
    rule: 'an instance that runs is not claimed',
    edits: [[claim, '(await isOpen(owner.workflowId))', '!(await isOpen(owner.workflowId))']],
    test: jobs,
    named: '36: ',
  },
  {
    rule: 'a claim is decided by the epoch that was read',
    edits: [
      [
        claim,
        `\n        .where('epoch', '=', String(epoch))\n        .where('status', '<>'`,
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
    edits: [
      [claim, 'if (carried.epoch === owner.epoch) return carried;', 'if (owner.epoch > 0) return carried;'],
    ],
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
        pipeline,
        'if (outcome === undefined) return this.#mayCommitEarly() && length > 0 ? length : undefined;',
        'if (outcome === undefined) { length++; continue; }',
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
      [
        checkpoint,
        `asLeft(migration.updateTable('keystride.checkpoint'), key, holder, seq)\n      .set({ updated_at`,
        `where(migration.updateTable('keystride.checkpoint'), key)\n      .set({ updated_at`,
      ],
    ],
    test: byItself,
    named: 'a page that does not wait for the disk',
  },
  {
    rule: 'a document of a later epoch is left alone',
    edits: [
      [
        'src/stores/mongo/bulk.ts',
        'filter: { _id: document._id, epoch: { $lte: document.epoch } }',
        'filter: { _id: document._id }',
      ],
    ],
    test: 'test/jobs/mongo-writes.test.ts',
    named: 'a document of a later epoch is left alone',
  },
];

/** Skips, retries and filters. */
const items: readonly Mutation[] = [
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
    edits: [['src/engine/activity/prepare-chunk.ts', 'indexes = settled.again;', '']],
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
    edits: [['src/engine/activity/chunk.ts', '} else filtered++;', '} else filtered += 0;']],
    test: skipping,
    named: '7: ',
  },
];

/** Cursors: the traps. */
const cursors: readonly Mutation[] = [
  {
    rule: 'microseconds: a cursor is text of the database, never a Date',
    edits: [
      [
        keysetReader,
        `column[index] ?? ''`,
        `(/^\\d{4}-/.test(column[index] ?? '') ? new Date(column[index] ?? '').toISOString() : (column[index] ?? ''))`,
      ],
    ],
    test: paging,
    named: '900 rows within one millisecond',
  },
  {
    rule: 'times of any column are read as text',
    edits: [['src/stores/postgres/pool.ts', '[20, 1082, 1114, 1184]', '[20]']],
    test: 'test/stores/times.test.ts',
    named: 'times are text',
  },
  {
    rule: 'time zones: a time without one is not read in that of the process',
    edits: [
      [
        keysetReader,
        `column[index] ?? ''`,
        `(/^\\d{4}-/.test(column[index] ?? '') ? new Date(column[index] ?? '').toISOString() : (column[index] ?? ''))`,
      ],
    ],
    test: paging,
    named: 'the hour that New York has twice',
  },
  {
    rule: 'a sort key that is not unique: all columns of the key count',
    edits: [
      [
        keyColumns,
        'sql`(${keyOf(columns)}) > (${valueOf(columns, lower)})`',
        'sql`(${keyOf(columns.slice(0, 1))}) > (${valueOf(columns.slice(0, 1), lower)})`',
      ],
    ],
    test: paging,
    named: '10,000 equal times',
  },
  {
    rule: 'bigint beyond 2^53: a cursor is never a number',
    edits: [[keysetReader, `column[index] ?? ''`, `String(Number(column[index] ?? ''))`]],
    test: paging,
    named: 'ids beyond what a number holds',
  },
  {
    rule: 'an output column does not take the place of the key in ORDER BY',
    edits: [[keyColumns, 'reference: sql.ref(`${table}.${name}`)', 'reference: sql.ref(name)']],
    test: paging,
    named: 'numbers stay in the order of numbers',
  },
  {
    rule: 'a nullable key is refused',
    edits: [[keyColumns, 'if (!column.required) {', 'if (column.name === "") {']],
    test: paging,
    named: 'when it may be null',
  },
  {
    rule: 'collation: JavaScript compares nothing',
    edits: [
      [
        keysetReader,
        'return pageOf(rows, rows as Row[], places);',
        `rows.sort((a, b) => (String(a[places[0] ?? '']) < String(b[places[0] ?? '']) ? -1 : 1));
         return pageOf(rows, rows as Row[], places);`,
      ],
    ],
    test: paging,
    named: 'texts of mixed case',
  },
  {
    rule: 'rows inserted above the upper key belong to another run',
    edits: [
      [keyColumns, '...(upper ? [sql`(${keyOf(columns)}) <= (${valueOf(columns, upper)})`] : []),', ''],
    ],
    test: paging,
    named: 'rows inserted above the upper key',
  },
  {
    rule: 'the lower end is exclusive',
    edits: [[keyColumns, 'sql`(${keyOf(columns)}) > (', 'sql`(${keyOf(columns)}) >= (']],
    test: paging,
    named: 'an offset of an earlier run',
  },
  {
    rule: 'the upper end is inclusive',
    edits: [[keyColumns, 'sql`(${keyOf(columns)}) <= (', 'sql`(${keyOf(columns)}) < (']],
    test: paging,
    named: 'page 3 of 3 rows',
  },
  {
    rule: 'ranges meet without overlap',
    edits: [
      [
        'src/stores/postgres/key-ranges.ts',
        'index === 0 ? above : (cuts[index - 1] ?? null)',
        'index < 2 ? above : (cuts[index - 2] ?? null)',
      ],
    ],
    test: paging,
    named: 'the ranges of a plan are the key space',
  },
  {
    rule: 'a full page is not the end',
    edits: [[pipeline, 'this.#readEnded = count < limit || ', 'this.#readEnded = count <= limit || ']],
    test: 'test/engine/pipeline.test.ts',
    named: 'items in chunks of 3',
  },
  {
    rule: 'a lower id that commits late: what was open is read again',
    edits: [
      [
        'src/stores/postgres/horizon.ts',
        'pg_snapshot_xmin(snapshot)::text AS horizon',
        'pg_snapshot_xmax(snapshot)::text AS horizon',
      ],
    ],
    test: 'test/jobs/target-sync.test.ts',
    named: 'a row that commits after its key was passed',
  },
  {
    rule: 'a lower id that commits late: a horizon stays until it was swept',
    edits: [
      [
        'src/activities/table-sync/steps.ts',
        'horizon: swept ? start.horizon : null',
        'horizon: start.horizon',
      ],
    ],
    test: 'test/jobs/target-sync.test.ts',
    named: 'a run that does not sweep',
  },
  {
    rule: 'a horizon of another database is none',
    edits: [['src/stores/postgres/horizon.ts', 'return back >= 0n && back < farthestBack;', 'return true;']],
    test: 'test/jobs/target-sync.test.ts',
    named: 'in a source that was set back',
  },
  {
    rule: 'MongoDB: a range goes through the types of _id, one after another',
    edits: [[mongoReader, 'if (found.length >= limit) break;', 'if (found.length > 0) break;']],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'is read once, in pages of 7',
  },
  {
    rule: 'MongoDB: an _id that cannot be scanned is refused',
    edits: [['src/stores/mongo/id-ranges.ts', '  await refuseUnusable(request);\n', '']],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'is refused, not left out',
  },
  {
    rule: 'MongoDB: documents that come during the run belong to another one',
    edits: [['src/stores/mongo/id-ranges.ts', '...(limit === undefined ? {} : { $lte: limit }),', '']],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'documents that come during the run',
  },
];

/** One for each rule and trap. */
export const mutations: readonly Mutation[] = [...transactions, ...items, ...cursors];
