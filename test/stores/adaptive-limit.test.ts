import { expect, test } from 'vitest';
import { simulate } from './simulated-api.ts';

const latency = () => 100;

test.each([1, 2, 5, 20, 80, 200])(
  'finds a capacity of %i calls, and hardly ever asks for more',
  (capacity) => {
    const { servedPerSecond, refusedShare } = simulate({
      capacity: () => capacity,
      latency,
      seconds: 60,
      warmUp: 10,
    });
    expect(servedPerSecond).toBeGreaterThan(0.9 * capacity * 10);
    expect(refusedShare).toBeLessThan(0.01);
  },
);

test.each([0.1, 1, 3])('does so whether a round trip takes %d s', (seconds) => {
  const script = {
    capacity: () => 80,
    latency: () => seconds * 1000,
    seconds: 300 * seconds,
    warmUp: 10 * seconds,
  };
  const { servedPerSecond, refusedShare } = simulate(script);
  expect(servedPerSecond).toBeGreaterThan((0.9 * 80) / seconds);
  expect(refusedShare).toBeLessThan(0.01);
});

test('does not limit what nobody refuses', () => {
  const { servedPerSecond, limits } = simulate({ capacity: () => 1e9, latency, seconds: 20, warmUp: 2 });
  expect(servedPerSecond).toBeGreaterThan(0.98 * 2_500);
  // Now and then it tries whether fewer calls are answered sooner.
  expect(limits.filter(Number.isFinite).length).toBeLessThan(3);
});

test.each([10, 50, 250])('answers that take very different times do not limit %i calls', (concurrency) => {
  const spread = (chance: number) => -Math.log(1 - chance);
  const script = { capacity: () => 1e9, latency, spread, concurrency, seconds: 300, warmUp: 20 };
  expect(simulate(script).servedPerSecond).toBeGreaterThan(0.85 * concurrency * 10);
});

test.each([
  { refuses: 'at once', above: 2 },
  { refuses: 'after a round trip', above: 100 },
])('follows within seconds when the capacity halves, of an API that refuses $refuses', ({ above }) => {
  const capacity = (now: number) => (now < 20_000 ? 80 : 40);
  const { servedPerSecond, refusedShare } = simulate({ capacity, latency, above, seconds: 40, warmUp: 23 });
  expect(servedPerSecond).toBeGreaterThan(0.9 * 400);
  expect(refusedShare).toBeLessThan(0.01);
});

test('follows when the capacity doubles, too', () => {
  const capacity = (now: number) => (now < 20_000 ? 40 : 80);
  const { servedPerSecond, refusedShare } = simulate({ capacity, latency, seconds: 50, warmUp: 30 });
  expect(servedPerSecond).toBeGreaterThan(0.9 * 800);
  expect(refusedShare).toBeLessThan(0.01);
});

test('comes back soon after the API was away', () => {
  const capacity = (now: number) => (now > 20_000 && now < 23_000 ? 0 : 80);
  const { servedPerSecond, limits } = simulate({ capacity, latency, seconds: 45, warmUp: 30 });
  expect(Math.min(...limits.slice(19, 24))).toBeLessThan(10);
  expect(servedPerSecond).toBeGreaterThan(0.9 * 800);
});

test.each([0.005, 0.02, 0.05])(
  'refusals of a share of %d of all calls, whatever is out, do not push it down',
  (noise) => {
    const script = { capacity: () => 1e9, latency, noise, concurrency: 50, seconds: 60, warmUp: 20 };
    const unlimited = simulate({ ...script, adaptive: false });
    expect(simulate(script).servedPerSecond).toBeGreaterThan(0.75 * unlimited.servedPerSecond);
  },
);

test.each([250, 500])(
  'an API that queues instead of refusing gets no long queue of %i calls',
  (concurrency) => {
    const above = 'queue';
    const script = { capacity: () => 80, latency, above, concurrency, seconds: 40, warmUp: 10 } as const;
    const { servedPerSecond, limits } = simulate(script);
    expect(servedPerSecond).toBeGreaterThan(0.95 * 800);
    expect(Math.max(...limits.slice(10))).toBeLessThan(220);
    expect(medianOf(limits.slice(10))).toBeLessThan(120);
  },
);

test.each([40, 10])('follows within seconds when such an API works on %i calls only', (left) => {
  const capacity = (now: number) => (now < 20_000 ? 80 : left);
  const script = { capacity, latency, above: 'queue', seconds: 50, warmUp: 25 } as const;
  const { servedPerSecond, limits } = simulate(script);
  expect(servedPerSecond).toBeGreaterThan(0.9 * left * 10);
  expect(medianOf(limits.slice(25))).toBeLessThan(1.7 * left);
});

test('an API that has become slow by itself is called as much as before', () => {
  const slower = (now: number) => (now < 20_000 ? 100 : 400);
  const script = { capacity: () => 1e9, latency: slower, seconds: 60, warmUp: 25 };
  expect(simulate(script).servedPerSecond).toBeGreaterThan(0.95 * 625);
});

test('several callers that do not know of each other share what there is, and none starves', () => {
  const { servedPerSecond, refusedShare, served } = simulate({
    ...{ capacity: () => 80, latency, callers: 3 },
    ...{ seconds: 180, warmUp: 60 },
  });
  expect(servedPerSecond).toBeGreaterThan(0.9 * 800);
  expect(refusedShare).toBeLessThan(0.02);
  expect(Math.min(...served)).toBeGreaterThan(0.4 * Math.max(...served));
});

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}
