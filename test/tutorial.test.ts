import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { blocksOf } from './support/docs.ts';

const tutorial = readFileSync(path.join(import.meta.dirname, '../docs/tutorial.md'), 'utf8');

test('the job of the tutorial has at most forty lines that are written by hand', () => {
  const ofTheJob = blocksOf(tutorial).filter(({ file }) => file?.endsWith('voucher-expiry.ts'));
  expect(ofTheJob.map(({ file }) => file)).toEqual([
    'src/contract/voucher-expiry.ts',
    'src/activities/voucher-expiry.ts',
  ]);
  const lines = ofTheJob.flatMap(({ text }) => text.split('\n').filter((line) => /^\s*[^\s/]/u.test(line)));
  expect(lines.length).toBeLessThanOrEqual(40);
});
