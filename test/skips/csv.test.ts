import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { csvLine } from '../../packages/keystride/src/operator/csv.ts';

test('cells come back from a parser as they went in, whatever quotes, commas and line ends they hold', () => {
  const rows = [
    ['a', 'b'],
    ['plain', 'with, comma'],
    ['say "hello"', 'two\r\nlines\nand more'],
    ['', 'ümlaut 😀'],
  ];
  expect(parse(rows.map((row) => csvLine(row)).join(''))).toEqual(rows);
});

test.for([
  '=HYPERLINK("http://evil.example","click")',
  '+1+cmd|calc!A0',
  '-2+3',
  '@SUM(A1)',
  '\t=1+1',
  '  =1+1',
  '\r=1+1',
  '＝1+1',
  '"=1+1',
  '|calc',
])('%j is no formula any more', (text) => {
  expect(parse(csvLine([text]))).toEqual([[`'${text}`]]);
});

test('numbers stay numbers, and null is empty', () => {
  expect(csvLine([-5, '-5', '+4.25', 0, null, '-'])).toBe("-5,-5,+4.25,0,,'-\r\n");
});

test('nothing that a terminal would obey goes out', () => {
  expect(csvLine(['\u001b[2J\u0007\u009b31m'])).toBe(' [2J  31m\r\n');
});
