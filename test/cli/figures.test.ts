import { expect, test } from 'vitest';
import { RateWindow, remainingSeconds, shareDone } from '../../packages/keystride/src/operator/figures.ts';

/** A window that saw `perSecond` rows each second, for so many seconds. */
function steady(perSecond: number, seconds: number): RateWindow {
  const rate = new RateWindow();
  for (let second = 0; second <= seconds; second++) rate.add({ at: second * 1000, done: second * perSecond });
  return rate;
}

test('the rate is that of the last fifteen seconds, not of the whole run', () => {
  const rate = steady(100, 60);
  for (let second = 1; second <= 15; second++)
    rate.add({ at: 60_000 + second * 1000, done: 6000 + second * 10 });
  expect(rate.perSecond).toBeCloseTo(10);
});

test('there is no rate before a second has passed', () => {
  const rate = new RateWindow();
  expect(rate.perSecond).toBeNull();
  rate.add({ at: 0, done: 0 });
  rate.add({ at: 900, done: 50 });
  expect(rate.perSecond).toBeNull();
  rate.add({ at: 1000, done: 100 });
  expect(rate.perSecond).toBe(100);
});

test('a count that falls starts the window anew and never gives a negative rate', () => {
  const rate = steady(100, 10);
  rate.add({ at: 11_000, done: 500 });
  expect(rate.perSecond).toBeNull();
  rate.add({ at: 13_000, done: 700 });
  expect(rate.perSecond).toBe(100);
});

test('the remaining time is what is left at the present rate', () => {
  const work = { done: 1000, expected: 3000, status: 'running', rate: steady(100, 10) } as const;
  expect(remainingSeconds(work)).toBeCloseTo(20);
});

test('no remaining time in the first seconds, while paused, without movement, or without a total', () => {
  const work = { done: 1000, expected: 3000, status: 'running', rate: steady(100, 10) } as const;
  expect(remainingSeconds({ ...work, rate: steady(100, 4) })).toBeNull();
  expect(remainingSeconds({ ...work, status: 'paused' })).toBeNull();
  expect(remainingSeconds({ ...work, rate: steady(0, 10) })).toBeNull();
  expect(remainingSeconds({ ...work, expected: null })).toBeNull();
  expect(remainingSeconds({ ...work, done: 3001 })).toBeNull();
});

test('no share of an unknown total, nor of one that turned out too small', () => {
  expect(shareDone(50, 200)).toBe(0.25);
  expect(shareDone(200, 200)).toBe(1);
  expect(shareDone(50, null)).toBeNull();
  expect(shareDone(0, 0)).toBeNull();
  expect(shareDone(201, 200)).toBeNull();
});
