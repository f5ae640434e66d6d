import { expect, test } from 'vitest';
import { faultPoints } from '../../packages/keystride/src/page/fault-points.ts';
import { connectionFaults } from '../../packages/keystride/src/prove/database-proxy.ts';
import {
  faultText,
  isPoint,
  type Passes,
  placesOf,
  planFaults,
  restarts,
} from '../../packages/keystride/src/prove/plan.ts';

const points = Object.fromEntries(faultPoints.map((point) => [point, 5])) as Passes['points'];
const passes: Passes = { points, commits: 20, messages: 100, restartable: restarts };

test('the same seed plans the same faults, another one others', () => {
  expect(planFaults(17, passes)).toEqual(planFaults(17, passes));
  const plans = Array.from({ length: 50 }, (_, seed) => JSON.stringify(planFaults(seed, passes)));
  expect(new Set(plans).size).toBe(50);
});

test('two to four faults a run, each on something that happens in a run without faults', () => {
  for (let seed = 0; seed < 500; seed++) {
    const faults = planFaults(seed, passes);
    expect(faults.length).toBeGreaterThanOrEqual(2);
    expect(faults.length).toBeLessThanOrEqual(4);
    for (const { place, at } of faults) {
      const most = isPoint(place) ? 5 : place === 'replyLost' ? 100 : 20;
      expect(at).toBeGreaterThanOrEqual(1);
      expect(at).toBeLessThanOrEqual(most);
    }
    expect(faults.filter(({ signal }) => signal === 'SIGSTOP').length).toBeLessThanOrEqual(1);
    expect(faults.filter(({ signal }) => signal !== undefined).length).toBeLessThanOrEqual(2);
  }
});

test.each([0, 1, 11, 987_654])('ten runs in a row from seed %i meet every place', (first) => {
  const met = new Set(
    Array.from({ length: 10 }, (_, run) => planFaults(first + run, passes).map(({ place }) => place)).flat(),
  );
  expect([...met].toSorted()).toEqual([...faultPoints, ...connectionFaults, ...restarts].toSorted());
});

test('workers are killed and frozen at every point', () => {
  const texts = new Set(
    Array.from({ length: 500 }, (_, seed) => planFaults(seed, { ...passes }).map(faultText)).flat(),
  );
  for (const point of faultPoints)
    for (const what of ['killed', 'frozen'])
      expect([...texts].some((text) => text.startsWith(`${what} at ${point} `))).toBe(true);
});

test('a point that the job does not pass is left out', () => {
  const without = { ...passes, points: { ...points, afterPrepare: 0 } };
  expect(placesOf(without)).not.toContain('afterPrepare');
  const met = Array.from({ length: 100 }, (_, seed) => planFaults(seed, without)).flat();
  expect(met.some(({ place }) => place === 'afterPrepare')).toBe(false);
});
