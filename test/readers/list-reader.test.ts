import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
import { readAll, readRange } from './reading.ts';

test('any list, partitions and pages: each item once, in order, from any cursor', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.nat()), { maxLength: 30 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      async (list, partitions, limit, choice) => {
        const reader = () =>
          listReader(list.length, (index) => {
            if (list[index] === null) throw new RangeError('no item');
            return list[index];
          });
        const found = await readAll(reader, limit, partitions);
        expect(found.map(({ item, error }) => (error instanceof RangeError ? null : item))).toEqual(list);
        expect(found.map(({ key }) => key)).toEqual(list.map((_, index) => String(index)));
        const from = choice % Math.max(1, list.length);
        const rest = await readRange(
          reader(),
          { lower: null, upper: null },
          limit,
          found[from]?.cursor ?? null,
        );
        expect(rest.map(({ key }) => key)).toEqual(found.slice(from + 1).map(({ key }) => key));
      },
    ),
  );
});
