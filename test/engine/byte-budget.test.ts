import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget, type Reservation } from '../../packages/keystride/src/page/byte-budget.ts';

interface Asked {
  readonly bytes: number;
  readonly reservation: Reservation;
  admitted: boolean;
  forced: boolean;
  released: boolean;
}

type Move =
  | { readonly kind: 'reserve'; readonly bytes: number }
  | { readonly kind: 'release' | 'force'; readonly which: number };

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('reserve' as const), bytes: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('force' as const), which: fc.nat(20) }),
  ),
  { maxLength: 60 },
);

async function ask(budget: ByteBudget, bytes: number): Promise<Asked> {
  const reservation = budget.reserve(bytes);
  const asked: Asked = { bytes, reservation, admitted: false, forced: false, released: false };
  void reservation.admitted.then(() => (asked.admitted = true));
  await settled();
  return asked;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('never holds more than its limit but for one reservation alone or by force, and admits in order', async () => {
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 50 }), moves, async (limit, script) => {
    const budget = new ByteBudget(limit);
    const all: Asked[] = [];
    for (const move of script) {
      if (move.kind === 'reserve') all.push(await ask(budget, move.bytes));
      else {
        const asked = all[move.which % Math.max(1, all.length)];
        if (asked === undefined) continue;
        if (move.kind === 'release') {
          asked.reservation.release();
          asked.released = true;
        } else {
          asked.forced ||= !asked.admitted && !asked.released;
          asked.reservation.force();
        }
        await settled();
      }
      const held = all.filter(({ admitted, released }) => admitted && !released);
      expect(budget.held).toBe(held.reduce((sum, { bytes }) => sum + bytes, 0));
      const waiting = all.filter(({ admitted, released }) => !admitted && !released);
      expect(budget.contended).toBe(waiting.length > 0);
      if (held.every(({ forced }) => !forced) && held.filter(({ bytes }) => bytes > 0).length > 1) {
        expect(budget.held).toBeLessThanOrEqual(limit);
      }
      // Nobody is passed by a later one: whoever asked later and is admitted, unforced, has no earlier one waiting.
      const firstWaiting = all.findIndex((asked) => waiting.includes(asked));
      if (firstWaiting >= 0) {
        expect(all.slice(firstWaiting).filter((asked) => held.includes(asked) && !asked.forced)).toEqual([]);
      }
    }
    for (const { reservation } of all) reservation.release();
    expect([budget.held, budget.contended]).toEqual([0, false]);
  });
  await fc.assert(property, { numRuns: 300, interruptAfterTimeLimit: 20_000 });
});

test('lets through one that is larger than the limit when nobody else holds anything', async () => {
  const budget = new ByteBudget(10);
  expect((await ask(budget, 1000)).admitted).toBe(true);
  expect((await ask(budget, 1)).admitted).toBe(false);
});

test('admits those that wait as soon as bytes come back', async () => {
  const budget = new ByteBudget(10);
  const [first, second, third] = [await ask(budget, 8), await ask(budget, 8), await ask(budget, 1)];
  expect([first.admitted, second.admitted, third.admitted]).toEqual([true, false, false]);
  first.reservation.release();
  await settled();
  expect([second.admitted, third.admitted, budget.held]).toEqual([true, true, 9]);
});

test('gives bytes back once, however often that is asked', async () => {
  const budget = new ByteBudget(10);
  const [one, other] = [await ask(budget, 4), await ask(budget, 4)];
  one.reservation.release();
  one.reservation.release();
  one.reservation.force();
  expect(budget.held).toBe(4);
  other.reservation.release();
  expect(budget.held).toBe(0);
});

test('one that stops waiting makes room for the next', async () => {
  const budget = new ByteBudget(10);
  const [, large, small] = [await ask(budget, 5), await ask(budget, 9), await ask(budget, 5)];
  large.reservation.release();
  await settled();
  expect([small.admitted, budget.contended, budget.held]).toEqual([true, false, 10]);
});

test('tells whoever listens that somebody waits', async () => {
  const budget = new ByteBudget(1);
  let told = 0;
  const end = budget.onContention(() => told++);
  await ask(budget, 1);
  expect(told).toBe(0);
  await ask(budget, 1);
  expect(told).toBe(1);
  end();
  await ask(budget, 1);
  expect(told).toBe(1);
});
