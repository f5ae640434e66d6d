import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failureOf, run, stepOf } from '../support/runs.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld();
  await world.startWorker();
});

afterAll(() => world?.dispose());

/** The numbers that the worker has said are even, in the order of its log. */
async function logged(): Promise<number[]> {
  const log = await readFile(world.workers[0]?.logFile ?? '', 'utf8');
  return [...log.matchAll(/(-?\d+) is even/g)].map(([, number]) => Number(number));
}

test('the even ones of 1 to 100 are in the log once each, in order; the odd ones are filtered', async () => {
  const report = await run(world, 'evenNumbers');
  expect(report).toMatchObject({ status: 'completed', instance: 'evenNumbers:from=1,to=100' });
  expect(stepOf(report, 'print')).toMatchObject({ read: 100, filtered: 50, written: 50, skipped: 0 });
  const numbers = await waitFor(async () => {
    const seen = await logged();
    return seen.length >= 50 && seen;
  });
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => 2 * (index + 1)));
});

test('another range is another instance; one number is a range, below zero too', async () => {
  const report = await run(world, 'evenNumbers', { from: -2, to: -2 });
  expect(report.instance).toBe('evenNumbers:from=-2,to=-2');
  expect(stepOf(report, 'print')).toMatchObject({ read: 1, filtered: 0, written: 1 });
  await waitFor(async () => (await logged()).includes(-2));
});

test('a range that ends before it begins is refused', async () => {
  const { type, message } = await failureOf(await world.start('evenNumbers', { from: 2, to: 1 }));
  expect(type).toBe('JobParametersInvalid');
  expect(message).toContain('to must not be less than from');
});
