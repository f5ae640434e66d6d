import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { LimitChange } from '../../packages/keystride/src/stores/http/adaptive-limit.ts';
import { CallLimiter } from '../../packages/keystride/src/stores/http/call-limiter.ts';
import { type RunningStub, startStub } from '../legacy-api/support.ts';

/** What the API can take at a time, and does not say: what is above that waits in its queue. */
const capacity = 80;

let stub: RunningStub;
let ended = new AbortController();
let calling: Promise<void>[] = [];

afterEach(async () => {
  await stopCallers();
  await stub?.stop();
});

test('an API that queues gets what it works on and next to no queue, also when that halves', async () => {
  stub = await startStub({ latency: 250, jitter: 25, maxConcurrent: capacity, maxQueued: 1_000 });
  const best = await fixed(capacity);
  const unlimited = await fixed(250);
  const limiter = new CallLimiter('the API');
  const changes: LimitChange[] = [];
  limiter.watch('a job', (change) => void changes.push(change));

  const callers = startCallers(250, limiter);
  await expect.poll(() => changes.at(-1)?.to, { timeout: 20_000 }).toBeLessThan(1.5 * capacity);
  const found = await callers.observe({ after: 500, milliseconds: 8_000 });
  expect(found.perSecond).toBeGreaterThan(0.85 * best.perSecond);
  expect(found.median).toBeLessThan(0.6 * unlimited.median);
  expect(changes[0]?.reason).toMatch(/^answers took \d+ ms, \d+\.\d × the best$/);

  await stub.post('/configure', { maxConcurrent: capacity / 2 });
  await expect.poll(() => changes.at(-1)?.to, { timeout: 15_000 }).toBeLessThan((1.5 * capacity) / 2);
  const followed = await callers.observe({ after: 500, milliseconds: 5_000 });
  expect(followed.perSecond).toBeGreaterThan((0.85 * best.perSecond) / 2);
  expect(followed.median).toBeLessThan(1.5 * best.median);
}, 60_000);

interface Observed {
  readonly perSecond: number;
  /** What half of the answers took at most, in milliseconds. */
  readonly median: number;
}

/** So many calls at a time, whatever comes of it. */
async function fixed(concurrency: number): Promise<Observed> {
  const callers = startCallers(concurrency);
  const observed = await callers.observe({ after: 1_000, milliseconds: 2_500 });
  await stopCallers();
  return observed;
}

async function stopCallers(): Promise<void> {
  ended.abort();
  await Promise.all(calling);
  ended = new AbortController();
}

/** Calls without end, so many at a time, or as many of them as a limiter lets out. */
function startCallers(concurrency: number, limiter?: CallLimiter) {
  const { signal } = ended;
  let latencies: number[] = [];
  let next = 0;
  const call = async (answered?: () => void) => {
    const begun = performance.now();
    const response = await stub.get(`T-${next++}`);
    answered?.();
    latencies.push(performance.now() - begun);
    await response.text();
  };
  const callAgain = async () => {
    try {
      while (!signal.aborted) await (limiter?.run({ waiting: signal, attempt: 1 }, call) ?? call());
    } catch (error) {
      if (error !== signal.reason) throw error;
    }
  };
  calling = Array.from({ length: concurrency }, callAgain);
  const observe = async ({
    after,
    milliseconds,
  }: {
    after: number;
    milliseconds: number;
  }): Promise<Observed> => {
    await delay(after);
    latencies = [];
    const from = performance.now();
    await delay(milliseconds);
    const perSecond = (latencies.length * 1_000) / (performance.now() - from);
    const median = latencies.toSorted((a, b) => a - b)[latencies.length >> 1] ?? Number.POSITIVE_INFINITY;
    return { perSecond, median };
  };
  return { observe };
}
