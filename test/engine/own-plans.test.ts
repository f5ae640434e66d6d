import { expect, test } from 'vitest';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import type { ReadPlan } from '../../packages/keystride/src/contract/reader.ts';
import { requirePlan } from '../../packages/keystride/src/operations/usable-plan.ts';

const at = (key: string | null) => (key === null ? null : cursorOf([key]));
const ranges = (...ends: (readonly [string | null, string | null])[]) =>
  ends.map(([lower, upper]) => ({ lower: at(lower), upper: at(upper) }));
const some = ranges([null, '5'], ['5', '9']);

test.for<[string, ReadPlan]>([
  ['no ranges', { ranges: [], expected: 0 }],
  ['one that is open', { ranges: ranges([null, null]), expected: null }],
  ['ranges that meet', { ranges: some, expected: 9, counted: true }],
  ['ranges that meet, the last of them open', { ranges: ranges([null, '5'], ['5', null]), expected: null }],
  [
    'ranges that are apart on purpose',
    { ranges: ranges(['1', '5'], ['7', '9']), expected: null, apart: true },
  ],
])('a plan may have %s', ([, plan]) => {
  expect(requirePlan(plan)).toBe(plan);
});

test.for<[string, unknown, RegExp]>([
  ['a gap', { ranges: ranges([null, '5'], ['6', '9']), expected: null }, /gap between range 1 and range 2/u],
  [
    'an overlap',
    { ranges: ranges([null, '5'], ['4', '9']), expected: null },
    /gap between range 1 and range 2/u,
  ],
  [
    'ranges out of order',
    { ranges: ranges(['5', '9'], [null, '5']), expected: null },
    /before its first range/u,
  ],
  [
    'ranges that go back',
    { ranges: ranges([null, '5'], ['5', '2'], ['2', '5']), expected: null },
    /two ranges with the same `upper`/u,
  ],
  [
    'a first range behind the beginning',
    { ranges: ranges(['1', '5']), expected: null },
    /before its first range/u,
  ],
  ['an open end in the middle', { ranges: ranges([null, null], ['5', '9']), expected: null }, /gap between/u],
  ['one range twice', { ranges: ranges([null, null], [null, null]), expected: null }, /same `lower`/u],
  [
    'one range twice, apart',
    { ranges: ranges(['1', '5'], ['1', '5']), expected: null, apart: true },
    /same `lower`/u,
  ],
  [
    'ends that are numbers',
    { ranges: [{ lower: null, upper: [5] }], expected: null },
    /gave a list|has a list for the end/u,
  ],
  ['an end that is left out', { ranges: [{ lower: null }], expected: null }, /has undefined for the end/u],
  [
    'an end that is a text',
    { ranges: [{ lower: null, upper: '5' }], expected: null },
    /has a text for the end/u,
  ],
  ['no list of ranges', { expected: null }, /undefined for the list of ranges/u],
  ['a range that is none', { ranges: [null], expected: null }, /has null for a range/u],
  ['half an item expected', { ranges: some, expected: 0.5 }, /has 0.5 for `expected`/u],
  ['fewer than none expected', { ranges: some, expected: -1 }, /has -1 for `expected`/u],
  ['no number expected', { ranges: some, expected: Number.NaN }, /has NaN for `expected`/u],
  ['a text expected', { ranges: some, expected: '9' }, /has a text for `expected`/u],
  ['expected left out', { ranges: some }, /has undefined for `expected`/u],
  ['counted in words', { ranges: some, expected: 9, counted: 'yes' }, /has a text for `counted`/u],
  ['nothing at all', undefined, /is undefined/u],
])('a plan is refused with %s', ([, plan, message]) => {
  expect(() => requirePlan(plan as ReadPlan)).toThrow(message);
});
