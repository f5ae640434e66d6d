import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { searchAttributes } from '../packages/keystride/src/contract/search-attributes.ts';

const root = path.join(import.meta.dirname, '..');

/** What `docs/temporal-limits.md` says of attributes and memos, held to the histories of what has been released. */
const recorded = globSync('test/histories/*/*.json', { cwd: root }).map((file) => ({
  file,
  history: JSON.parse(readFileSync(path.join(root, file), 'utf8')) as unknown,
}));

/** Every object below a field of this name, with its entries: names, and sizes of their payloads in bytes. */
function fieldsOf(value: unknown, field: 'memo' | 'searchAttributes'): Record<string, number>[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const { indexedFields, fields } = (part ?? {}) as Partial<
      Record<string, Record<string, { data?: string }>>
    >;
    const entries = Object.entries(indexedFields ?? fields ?? {});
    const sizes = entries.map(
      ([key, { data = '' }]) => [key, Buffer.from(data, 'base64').byteLength] as const,
    );
    return [...(name === field ? [Object.fromEntries(sizes)] : []), ...fieldsOf(part, field)];
  });
}

test.for(recorded)('$file has small search attributes and memos', ({ history }) => {
  // The last is the SDK's: the patch markers that a run has met.
  const own: readonly string[] = [...Object.values(searchAttributes), 'TemporalChangeVersion'];
  for (const attributes of fieldsOf(history, 'searchAttributes')) {
    expect(Object.keys(attributes).filter((name) => !own.includes(name))).toEqual([]);
    expect(Math.max(0, ...Object.values(attributes))).toBeLessThan(2048);
  }
  const memos = fieldsOf(history, 'memo').flatMap((memo) => Object.values(memo));
  expect(Math.max(0, ...memos)).toBeLessThan(2 * 1024 * 1024);
});

test('there are search attributes and memos among them', () => {
  expect(recorded.flatMap(({ history }) => fieldsOf(history, 'searchAttributes')).length).toBeGreaterThan(0);
  expect(Object.keys(searchAttributes).length).toBeLessThan(100);
});
