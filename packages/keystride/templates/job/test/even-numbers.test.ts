import { createWorld, type World } from 'keystride/testing/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';

let world: World;

beforeAll(async () => {
  world = await createWorld();
  await world.startWorker();
});

afterAll(() => world?.dispose());

test('the even ones of 1 to 100 are written, the odd ones filtered', async () => {
  const run = await world.start('evenNumbers');
  expect(await world.books(await run.result())).toEqual({
    steps: { print: { read: 100, unreadable: 0, written: 50, filtered: 50, skipped: 0 } },
    problems: [],
  });
});
