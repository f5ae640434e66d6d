import type { Mutation } from './mutation.ts';

const pipeline = 'packages/keystride/src/page/pipeline.ts';
const readAhead = 'packages/keystride/src/page/read-ahead.ts';
const keysetReader = 'packages/keystride/src/stores/postgres/keyset-reader.ts';
const keyColumns = 'packages/keystride/src/stores/postgres/key-columns.ts';
const mongoReader = 'packages/keystride/src/stores/mongo/keyset-reader.ts';
const textPage = 'packages/keystride/src/stores/postgres/text-page.ts';
const textArray = 'packages/keystride/src/stores/postgres/text-array.ts';
const rowsOfTexts = 'packages/keystride/src/stores/postgres/rows-of-texts.ts';
const handedOn = 'test/readers/text-page.test.ts';
const paging = 'test/jobs/keyset-paging.test.ts';

/** Cursors: the traps. */
export const cursors: readonly Mutation[] = [
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
    rule: 'a step is not gone on with in another order of its keys',
    edits: [['packages/keystride/src/page/page.ts', 'await refuseOtherOrder(work.reader, taken);', '']],
    test: 'test/jobs/key-order.test.ts',
    named: 'a step that is gone on with in another order',
  },
  {
    rule: 'times of any column are read as text',
    edits: [['packages/keystride/src/stores/postgres/pool.ts', '[20, 1082, 1114, 1184, 1186]', '[20]']],
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
    edits: [[keyColumns, 'reference: columnIn(table, name)', 'reference: sql.id(name)']],
    test: paging,
    named: 'numbers stay in the order of numbers',
  },
  {
    rule: 'a nullable key is refused',
    edits: [[keyColumns, 'if (!column.required) {', 'if (column.name === "") {']],
    test: 'test/readers/pageable.test.ts',
    named: 'when it may be null',
  },
  {
    rule: 'collation: JavaScript compares nothing',
    edits: [
      [
        keysetReader,
        'if (!repeats) return { ...pageOf(',
        `found.rows.sort((a, b) => (String(a[places[0] ?? '']) < String(b[places[0] ?? '']) ? -1 : 1));
         if (!repeats) return { ...pageOf(`,
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
        'packages/keystride/src/stores/postgres/key-ranges.ts',
        'index === 0 ? above : (cuts[index - 1] ?? null)',
        'index < 2 ? above : (cuts[index - 2] ?? null)',
      ],
    ],
    test: paging,
    named: 'the ranges of a plan are the key space',
  },
  {
    rule: 'a full page is not the end',
    edits: [[readAhead, 'const goesOn = count > 0 ||', 'const goesOn = count > 3 ||']],
    test: 'test/engine/pipeline.test.ts',
    named: 'items in chunks of 3',
  },
  {
    rule: 'a lower id that commits late: what was open is read again',
    edits: [
      [
        'packages/keystride/src/stores/postgres/horizon.ts',
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
        'packages/keystride/src/table-sync/steps.ts',
        'horizon: swept ? start.horizon : null',
        'horizon: start.horizon',
      ],
    ],
    test: 'test/jobs/target-sync.test.ts',
    named: 'a run that does not sweep',
  },
  {
    rule: 'rows that come with a partition are read, whoever wrote them',
    edits: [
      [
        'packages/keystride/src/stores/postgres/horizon.ts',
        'if (joined.length === 0) return',
        'if (joined.length >= 0) return',
      ],
    ],
    test: 'test/jobs/sync-changes.test.ts',
    named: 'a partition is attached',
  },
  {
    rule: 'a column that comes about otherwise is copied again',
    edits: [
      [
        'packages/keystride/src/table-sync/shape.ts',
        'if (before[name] === how) return',
        'if (name !== "") return',
      ],
    ],
    test: 'test/jobs/sync-changes.test.ts',
    named: 'a column with a default is added',
  },
  {
    rule: 'a sink that was emptied is filled again',
    edits: [
      [
        'packages/keystride/src/stores/postgres/table-shape.ts',
        'return rows[0]?.old !== true;',
        'return false;',
      ],
    ],
    test: 'test/jobs/sync-changes.test.ts',
    named: 'the sink is emptied',
  },
  {
    rule: 'a NOT NULL that nobody has checked is none',
    edits: [[keyColumns, 'if (column.unchecked !== null) {', 'if (column.name === "") {']],
    test: 'test/jobs/sync-refusals.test.ts',
    named: 'a key that was never checked for null',
  },
  {
    rule: 'the checkpoint follows what a sweep has looked through',
    edits: [[pipeline, '    this.#markPassed();\n', '']],
    test: 'test/jobs/sync-sweep.test.ts',
    named: 'goes on where it was',
  },
  {
    rule: 'a row whose parent comes later is written in the end',
    edits: [
      [
        'packages/keystride/src/table-sync/postponing.ts',
        'left.length > 0 && left.length < before;',
        'false;',
      ],
    ],
    test: 'test/jobs/sync-references.test.ts',
    named: 'a chain over many chunks, its end last',
  },
  {
    rule: 'a horizon of another database is none',
    edits: [
      [
        'packages/keystride/src/stores/postgres/horizon.ts',
        'return back >= 0n && back < farthestBack;',
        'return true;',
      ],
    ],
    test: 'test/jobs/target-sync.test.ts',
    named: 'in a source that was set back',
  },
  {
    rule: 'MongoDB: a range goes through the types of _id, one after another',
    edits: [
      [mongoReader, 'if (found.length >= asked || bytes >= most) break;', 'if (found.length > 0) break;'],
    ],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'is read once, in pages of 7',
  },
  {
    rule: 'MongoDB: an _id that cannot be scanned is refused',
    edits: [['packages/keystride/src/stores/mongo/id-ranges.ts', '  await refuseUnusable(request);\n', '']],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'is refused, not left out',
  },
  {
    rule: 'MongoDB: documents that come during the run belong to another one',
    edits: [
      [
        'packages/keystride/src/stores/mongo/id-ranges.ts',
        '...(limit === undefined ? {} : { $lte: limit }),',
        '',
      ],
    ],
    test: 'test/readers/mongo-reader.test.ts',
    named: 'documents that come during the run',
  },
  {
    rule: 'a continuous sync that waits looks below its offset too',
    edits: [
      [
        'packages/keystride/src/table-sync/beginning.ts',
        'return changes.noted.length > 0 || finds(',
        'return changes.noted.length > 1_000 && finds(',
      ],
    ],
    test: 'test/jobs/target-sync.test.ts',
    named: 'continuous looks whether there is anything',
  },
  {
    rule: 'rows that are handed on: a page of large ones is read as rows',
    edits: [[textPage, 'AND coalesce(sum(size), 0) < $${before + 2}', 'AND $${before + 2} > 0']],
    test: handedOn,
    named: 'a page ends where it would have',
  },
  {
    rule: 'rows that are handed on: a text is not as an array has it',
    edits: [[textArray, `text.includes('\\\\')`, 'text === written']],
    test: handedOn,
    named: 'any texts, keys and nulls are the same either way',
  },
  {
    rule: 'rows that are handed on: one that was read twice is written once',
    edits: [[rowsOfTexts, 'texts.apart === apart', 'texts.apart !== undefined']],
    test: handedOn,
    named: 'of rows that are there twice the last is taken',
  },
];
