import { expect, test } from 'vitest';
import { factText } from '../../packages/keystride/src/operator/fact-text.ts';
import { count, duration, plain, rate, table } from '../../packages/keystride/src/operator/format.ts';
import { grouped } from '../../packages/keystride/src/contract/grouped.ts';
import { shellWord } from '../../packages/keystride/src/contract/shell.ts';

test('durations as people say them', () => {
  const said = [400, 9_960, 59_600, 200_000, 3_600_000, 7_500_000, 273_600_000].map(duration);
  expect(said).toEqual(['0.4 s', '10 s', '1 min', '3 min 20 s', '1 h', '2 h 5 min', '3 d 4 h']);
});

test('counts and rates', () => {
  expect(count(1_234_567)).toBe('1,234,567');
  expect([0, 0.25, 9.94, 9.96, 12_345.6].map(rate)).toEqual(['0/s', '0.3/s', '9.9/s', '10/s', '12,346/s']);
});

test.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [-1_234_567, '-1,234,567'],
  [31.4, '31.4'],
  [12_345.678_9, '12,345.679'],
  [0.1 + 0.2, '0.3'],
  [2 ** 53, '9,007,199,254,740,992'],
])('%d is read as %s', (value, text) => {
  expect(grouped(value)).toBe(text);
});

test('a table has its columns below each other', () => {
  expect(
    table(
      ['id', 'n'],
      [
        ['a', '1'],
        ['bcd', '22'],
      ],
    ),
  ).toEqual(['id   n', 'a    1', 'bcd  22']);
});

test('text of unknown origin stays on its line and commands no terminal', () => {
  expect(plain('a\u001b[31mb\nc\u202ed')).toBe('a [31mb c d');
  expect(plain('x'.repeat(300))).toHaveLength(200);
});

test('an id is quoted for a shell only where it must be', () => {
  expect(shellWord('documentMigration:run=2')).toBe('documentMigration:run=2');
  expect(shellWord("it's (one)")).toBe(`'it'\\''s (one)'`);
});

test.each([
  ['running', 'running'],
  [2, '2'],
  [null, 'null'],
  [['a', 'b'], 'a,b'],
  [{}, 'none'],
  [{ chunkSize: 20, concurrency: 60 }, 'chunkSize 20, concurrency 60'],
])('the fact %j of a change reads as %s', (fact, text) => {
  expect(factText(fact)).toBe(text);
});
