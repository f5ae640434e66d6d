import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { forgetOthers } from '../../packages/keystride/src/dev/workflow-bundle.ts';

test('only bundles that nobody has used for days are removed, however many there are', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-bundle-cache-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const made = (name: string, daysAgo: number) => {
    const file = path.join(directory, name);
    writeFileSync(file, '');
    const then = new Date(Date.now() - daysAgo * 86_400_000);
    utimesSync(file, then, then);
    return file;
  };
  const recent = Array.from({ length: 30 }, (_, index) => made(`recent-${index}.js`, 2));
  made('old.js', 4);
  const current = made('current.js', 5);
  forgetOthers(directory, current);
  expect(readdirSync(directory).toSorted()).toEqual(
    [...recent, current].map((file) => path.basename(file)).toSorted(),
  );
});
