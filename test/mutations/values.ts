import type { Mutation } from './mutation.ts';

const stores = 'packages/keystride/src/stores';
const parameter = `${stores}/postgres/parameter.ts`;
const lost = `${stores}/json/lost-in-json.ts`;
const storable = `${stores}/mongo/storable.ts`;
const documents = 'test/jobs/mongo-writes.test.ts';
const written = 'test/stores/written-values.test.ts';

/** Values that a driver, a file or JSON would change on their way. */
export const values: readonly Mutation[] = [
  {
    rule: 'half of a surrogate pair is refused, not written as U+FFFD',
    edits: [[parameter, 'return value.isWellFormed() ? undefined', 'return value !== "" ? undefined']],
    test: written,
    named: 'half of a surrogate pair is refused',
  },
  {
    rule: 'undefined is no NULL',
    edits: [[parameter, "if (value === undefined) return 'undefined: NULL is null';", '']],
    test: written,
    named: 'undefined is refused',
  },
  {
    rule: 'parameters of a read are looked at as those of a write',
    edits: [
      [
        `${stores}/postgres/bounded-query.ts`,
        'ask<Row>(text, parametersOf(values))',
        'ask<Row>(text, [...values])',
      ],
    ],
    test: written,
    named: 'a promise is refused as a parameter',
  },
  {
    rule: 'an object of which JSON has nothing is refused',
    edits: [[lost, 'if (kind !== undefined) return `', 'if (kind === "") return `']],
    test: written,
    named: 'a map is refused',
  },
  {
    rule: 'a number that JSON has none for is refused',
    edits: [[lost, 'Number.isFinite(value) ? undefined', 'value !== 0.5 ? undefined']],
    test: written,
    named: 'NaN within JSON is refused',
  },
  {
    rule: 'a number beyond 2^53 is not written for a whole one',
    edits: [[`${stores}/postgres/written-column.ts`, '!Number.isSafeInteger(value)', 'value === 0']],
    test: written,
    named: 'a value stands in its column as it is',
  },
  {
    rule: 'a row that lacks a column is refused by the name that it has instead',
    edits: [[`${stores}/postgres/bulk.ts`, '!names.includes(other)', "other === ''"]],
    test: written,
    named: 'a name that is misspelt',
  },
  {
    rule: 'a promise is no document of MongoDB',
    edits: [[storable, 'return kind === undefined ?', "return kind !== '' ?"]],
    test: documents,
    named: 'a document with a promise is refused',
  },
  {
    rule: 'undefined in a list of a document is refused, not stored as null',
    edits: [[storable, 'element === undefined ?', "element === '' ?"]],
    test: documents,
    named: 'a document with undefined in a list',
  },
  {
    rule: 'of two documents with one _id none replaces the other',
    edits: [[storable, 'if (ids.has(id))', "if (ids.has('') && ids.has(id))"]],
    test: documents,
    named: 'the _id of another one',
  },
  {
    rule: 'what is undefined is left out of a document by any client',
    edits: [[`${stores}/mongo/bulk.ts`, 'ordered: false, ignoreUndefined: true', 'ordered: false']],
    test: documents,
    named: 'what is undefined is left out',
  },
  {
    rule: 'a page of an API that does not say which one is next is not the last one',
    edits: [[`${stores}/http/paged-reader.ts`, 'if (next === undefined)', 'if (next === false)']],
    test: 'test/readers/paged-reader.test.ts',
    named: 'a page of no next page',
  },
  {
    rule: 'an object of json with a key twice is not read as one of both',
    edits: [[`${stores}/postgres/pool.ts`, '114: readJsonText', '114: readJson']],
    test: 'test/readers/key-types.test.ts',
    named: 'an object of json that has a key twice',
  },
  {
    rule: 'a file whose last line has no end is not read as a whole one',
    edits: [[`${stores}/files/file-reader.ts`, 'if (!lastLineUnended) await requireEnded(file);', '']],
    test: 'test/readers/ndjson-reader.test.ts',
    named: 'a file whose last line has no end',
  },
  {
    rule: 'what was half a record when a file was planned is not read when the other half is there',
    edits: [[`${stores}/files/source-file.ts`, 'if (size > 0 && size < stat.size)', 'if (size < 0)']],
    test: 'test/readers/csv-reader.test.ts',
    named: 'a file that is still being written',
  },
  {
    rule: 'a column that is required is there',
    edits: [[`${stores}/files/csv-reader.ts`, 'if (lacking.length === 0 ||', 'if (lacking.length >= 0 ||']],
    test: 'test/readers/csv-reader.test.ts',
    named: 'a column that is required',
  },
];
