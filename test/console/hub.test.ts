import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Banners } from '../../packages/keystride/src/console/banners.ts';
import { Hub } from '../../packages/keystride/src/console/live/hub.ts';
import { ratesOf, Series } from '../../packages/keystride/src/console/live/series.ts';

/** A place that counts how often it is looked at, and lets each look end by hand. */
function watchedPlace() {
  let looks = 0;
  let end = () => {};
  const read = () => {
    looks++;
    return new Promise<number>((resolve) => (end = () => resolve(looks)));
  };
  return { watched: { key: 'run', every: 1, read }, looks: () => looks, end: () => end() };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(1);
}

test('a hundred who look on cost as much as one', async () => {
  const place = watchedPlace();
  const hub = new Hub<number>();
  const heard = Array.from({ length: 100 }, () => 0);
  const ends = heard.map((_, index) => hub.watch(place.watched, () => heard[index]!++));
  expect(place.looks()).toBe(1);
  place.end();
  await until(() => place.looks() === 2);
  expect(heard).toEqual(heard.map(() => 1));
  for (const end of ends) end();
});

test('who comes later is told at once what was seen last', async () => {
  const place = watchedPlace();
  const hub = new Hub<number>();
  const end = hub.watch(place.watched, () => {});
  place.end();
  await until(() => place.looks() === 2);
  const heard: unknown[] = [];
  hub.watch(place.watched, (look) => heard.push(look));
  expect(heard).toEqual([{ made: 1 }]);
  end();
});

test('nobody looks when nobody looks on', async () => {
  const place = watchedPlace();
  const hub = new Hub<number>();
  const end = hub.watch(place.watched, () => {});
  end();
  expect(hub.size).toBe(0);
  place.end();
  await delay(20);
  expect(place.looks()).toBe(1);
});

test('a look that fails is told, and the next one comes', async () => {
  let looks = 0;
  const hub = new Hub<number>();
  const heard: unknown[] = [];
  const problem = new Error('away');
  const read = () => (looks++ === 0 ? Promise.reject(problem) : Promise.resolve(looks));
  const end = hub.watch({ key: 'run', every: 1, read }, (look) => heard.push(look));
  await until(() => heard.length >= 2);
  end();
  expect(heard.slice(0, 2)).toEqual([{ failed: problem }, { made: 2 }]);
});

test('points of a run become rates, and going back is no rate', () => {
  const points = [
    { at: 0, done: 0 },
    { at: 2000, done: 100 },
    { at: 3000, done: 90 },
  ];
  expect(ratesOf(points)).toEqual([
    { at: 2000, perSecond: 50 },
    { at: 3000, perSecond: 0 },
  ]);
});

test('a long run keeps its whole time in view, and many runs no more than some', () => {
  const series = new Series();
  for (let second = 0; second < 5_000; second++) series.add('run', { at: second * 1000, done: second });
  const kept = series.of('run');
  expect(kept[0]).toEqual({ at: 0, done: 0 });
  expect(kept.at(-1)!.at).toBeGreaterThan(4_990_000);
  expect(kept.length).toBeLessThanOrEqual(480);
  for (let run = 0; run < 300; run++) series.add(`run ${run}`, { at: 0, done: 0 });
  expect(series.of('run')).toEqual([]);
});

test('the banner is looked for once for all pages, and anew when somebody has done something', async () => {
  let looks = 0;
  const banners = new Banners(() => {
    looks++;
    return Promise.resolve([{ kind: 'notice', what: `look ${looks}`, todo: '' }]);
  });
  const told = async () => (await banners.read()).map(({ what }) => what);
  expect(await Promise.all([told(), told()])).toEqual([['look 1'], ['look 1']]);
  expect(await told()).toEqual(['look 1']);
  banners.expire();
  expect(await told()).toEqual(['look 2']);
});
