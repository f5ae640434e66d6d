import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { markers, page } from '../bench/document.ts';
import { keys } from '../bench/keys.ts';
import { groups } from '../bench/suite.ts';

test('every measurement is made by one group', () => {
  expect(groups.flatMap((group) => group.keys).toSorted()).toEqual(keys.toSorted());
});

test('the page has its markers once, in order, and tells of every measurement', async () => {
  const text = await readFile(page, 'utf8');
  expect(text.split(markers.begin)).toHaveLength(2);
  const [before = '', rest = ''] = text.split(markers.begin);
  const [figures = '', after, ...more] = rest.split(markers.end);
  expect(more).toEqual([]);
  expect(before).toContain('## Figures');
  const measured = [...figures.matchAll(/^\| (\w+) +\| +[\d.]+ +\|/gm)].map(([, key]) => key);
  expect(measured).toEqual(keys);
  for (const key of keys) expect(after).toContain(`\`${key}\``);
});
