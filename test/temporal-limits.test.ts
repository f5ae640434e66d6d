import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { searchAttributes } from '../packages/keystride/src/contract/search-attributes.ts';

const root = path.join(import.meta.dirname, '..');

/** What `docs/temporal-limits.md` says of attributes, held to the histories of what has been released. */
const recorded = globSync('test/histories/*/*.json', { cwd: root }).map((file) => ({
  file,
  history: JSON.parse(readFileSync(path.join(root, file), 'utf8')) as unknown,
}));

/** Every set of search attributes below a value: names, and sizes of their payloads in bytes. */
function attributesIn(value: unknown): Record<string, number>[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const { indexedFields = {} } = (part ?? {}) as { indexedFields?: Record<string, { data?: string }> };
    const sizes = Object.entries(indexedFields).map(
      ([key, { data = '' }]) => [key, Buffer.from(data, 'base64').byteLength] as const,
    );
    return [...(name === 'searchAttributes' ? [Object.fromEntries(sizes)] : []), ...attributesIn(part)];
  });
}

test.for(recorded)('$file has small search attributes', ({ history }) => {
  // The last is the SDK's: the patch markers that a run has met.
  const own: readonly string[] = [...Object.values(searchAttributes), 'TemporalChangeVersion'];
  for (const attributes of attributesIn(history)) {
    expect(Object.keys(attributes).filter((name) => !own.includes(name))).toEqual([]);
    expect(Math.max(0, ...Object.values(attributes))).toBeLessThan(2048);
  }
});

test('there are search attributes among them', () => {
  expect(recorded.flatMap(({ history }) => attributesIn(history)).length).toBeGreaterThan(0);
  expect(Object.keys(searchAttributes).length).toBeLessThan(100);
});
