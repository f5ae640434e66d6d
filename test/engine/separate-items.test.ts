import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import type { Chunk } from '../../packages/keystride/src/page/chunk.ts';
import { chunks } from '../../packages/keystride/src/job/chunks.ts';
import { classifyWith } from '../../packages/keystride/src/page/item-errors.ts';
import { separateItems } from '../../packages/keystride/src/page/separate-items.ts';
import { ItemFailed } from '../../packages/keystride/src/page/process-item.ts';

class Refused extends Error {
  override readonly name = 'Refused';
}

/** Separates what a store refuses of a chunk of `count` items. */
async function separate(count: number, bad: ReadonlySet<number>, skip: readonly string[]) {
  const written = new Set<number>();
  let calls = 0;
  const again = (indexes: readonly number[]): Promise<void> => {
    calls++;
    // As an unordered bulk write does: what it takes is there, and it fails as a whole all the same.
    for (const index of indexes) if (!bad.has(index)) written.add(index);
    return indexes.some((index) => bad.has(index)) ? Promise.reject(new Refused('no')) : Promise.resolve();
  };
  const sources = Array.from({ length: count }, (_, index) => ({
    ...{ item: index, key: `key ${index}`, cursor: cursorOf([String(index)]) },
  }));
  const chunk: Chunk = {
    ...{ outputs: sources.map(({ item }) => item), sources: () => sources, skips: [], filtered: 0 },
    ...{ first: null, cursor: null, last: false },
  };
  const reader = {
    plan: () => Promise.reject(new Error('not asked')),
    read: () => Promise.reject(new Error('not asked')),
  };
  const work = chunks<number, number>({
    reader,
    processor: (item) => item,
    writer: { write: () => Promise.resolve() },
  });
  const writing = { work, classify: classifyWith(undefined, { skip: { codes: [...skip] } }) };
  const indexes = sources.map(({ item }) => item);
  const found = await separateItems(writing, chunk, {
    indexes,
    error: new Refused('no'),
    attempts: 1,
    again,
  });
  return { found, written, calls };
}

test('those that may be skipped are, and every other one is written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.nat(59), { minLength: 1, maxLength: 5 }),
      async (count, places) => {
        const bad = new Set(places.map((place) => place % count));
        const { found, written, calls } = await separate(count, bad, ['Refused']);
        expect([...found.keys()].toSorted((a, b) => a - b)).toEqual([...bad].toSorted((a, b) => a - b));
        expect(written.size).toBe(count - bad.size);
        expect(calls).toBeLessThanOrEqual(2 * bad.size * (Math.ceil(Math.log2(count)) + 1));
      },
    ),
  );
});

test.each([
  [50, [17], 'key 17', true],
  [50, [0], 'key 0', true],
  [1, [0], 'key 0', true],
  [3, [0, 1, 2], 'key 0 and 2 more', false],
])('of %i items one of %j that may not be skipped is named: %s', async (count, bad, key, single) => {
  const failed = await separate(count, new Set(bad), []).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(ItemFailed);
  expect(failed).toMatchObject({ key, single });
});
