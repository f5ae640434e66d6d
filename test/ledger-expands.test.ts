import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const folder = path.join(import.meta.dirname, '../packages/keystride/src/sql');

/** What a build that does not know the change would trip over, or what rewrites or locks a large table. */
const forbidden: Readonly<Record<string, RegExp>> = {
  'takes something away': /\bdrop\s+(table|column|schema|view)\b/iu,
  'renames something': /\brename\s+(to|column|constraint)\b/iu,
  'changes a type': /\balter\s+column\s+\w+\s+(set\s+data\s+)?type\b/iu,
  'demands a value that an older build does not give': /\balter\s+column\s+\w+\s+set\s+not\s+null\b/iu,
  'adds a column that an older build leaves empty':
    /\badd\s+column\s+(?!if)[^,;]*\bnot\s+null\b(?![^,;]*\bdefault\b)(?<!default[^,;]*)/iu,
};

function withoutComments(sql: string): string {
  return sql.replaceAll(/--.*$/gmu, '');
}

function faultsOf(sql: string): string[] {
  return Object.keys(forbidden).filter((what) => forbidden[what]?.test(withoutComments(sql)));
}

/** The last file that the first release had. */
const first = '0009_sync.sql';

/** What is let pass: texts that sort otherwise are read as before. */
const known: Readonly<Record<string, readonly string[]>> = { '0017_reads.sql': ['changes a type'] };

const files = globSync('*.sql', { cwd: folder })
  .filter((file) => file > first)
  .toSorted();

test.for(files)('%s leaves the ledger usable by the build before', (file) => {
  expect(faultsOf(readFileSync(path.join(folder, file), 'utf8'))).toEqual(known[file] ?? []);
});

test.each([
  'alter table keystride.step drop column starts;',
  'alter table keystride.step rename column starts to begun;',
  'alter table keystride.step alter column starts type bigint;',
  'alter table keystride.step alter column expected set not null;',
  'alter table keystride.step add column kind text not null;',
])('what does not is found: %s', (sql) => {
  expect(faultsOf(sql)).toHaveLength(1);
});

test.each([
  'alter table keystride.step add column kind text;',
  "alter table keystride.step add column kind text not null default 'chunk';",
  "alter table keystride.step add column kind text default 'chunk' not null;",
  '-- drop table keystride.step',
])('what does is let pass: %s', (sql) => {
  expect(faultsOf(sql)).toEqual([]);
});
