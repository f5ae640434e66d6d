import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { LimitChange } from '../../packages/keystride/src/stores/http/adaptive-limit.ts';
import { CallLimiter } from '../../packages/keystride/src/stores/http/call-limiter.ts';
import { HttpStatusError } from '../../packages/keystride/src/stores/http/errors.ts';
import { LegacyApi } from '../../src/stores/legacy-api.ts';
import { type RunningStub, startStub } from '../legacy-api/support.ts';

let stub: RunningStub | undefined;
let api: LegacyApi | undefined;

afterEach(async () => {
  await api?.close();
  await stub?.stop();
  stub = api = undefined;
});

const never = new AbortController().signal;

test('two jobs that call the same API share what it takes, as two of their concurrency', async () => {
  stub = await startStub({ latency: 50, maxConcurrent: 20, retryAfter: 0 });
  api = new LegacyApi(stub.url);
  const changes: LimitChange[] = [];
  const ignore = api.calls.watch('a job', (change) => void changes.push(change));
  const [one, other] = [startJob(api, 'one', 60), startJob(api, 'other', 20)];
  await delay(1_500);
  const [before, beforeOther] = [one.served, other.served];
  await delay(2_000);
  const [served, servedOther] = [one.served - before, other.served - beforeOther];
  await Promise.all([one.stop(), other.stop()]);
  ignore();
  // Three times the concurrency, three times the calls.
  expect(served / servedOther).toBeGreaterThan(2);
  expect(served / servedOther).toBeLessThan(4.5);
  expect(changes[0]?.reason).toMatch(/^HTTP 429 for \d+ of \d+ calls$/);
  expect(changes.at(-1)?.to).toBeLessThan(30);
});

test('a call that waits for its turn gives up when it is not to begin any more, and takes nobody else’s turn', async () => {
  const { limiter, out } = await limitedToOne();
  const giving = new AbortController();
  const calls: string[] = [];
  const call = (name: string) => () => Promise.resolve(void calls.push(name));
  const given = limiter.run({ waiting: giving.signal, attempt: 1 }, call('given up'));
  const waited = limiter.run({ waiting: never, attempt: 1 }, call('waited'));
  giving.abort();
  await expect(given).rejects.toBe(giving.signal.reason);
  await expect(limiter.run({ waiting: giving.signal, attempt: 1 }, call('too late'))).rejects.toBe(
    giving.signal.reason,
  );
  out.resolve();
  await waited;
  expect(calls).toEqual(['waited']);
  expect(limiter.inFlight).toBe(0);
});

test('a call that is made again goes before those that are made for the first time', async () => {
  const { limiter, out } = await limitedToOne();
  const calls: number[] = [];
  const made = [1, 1, 2, 1, 3].map((attempt) =>
    limiter.run({ waiting: never, attempt }, () => Promise.resolve(void calls.push(attempt))),
  );
  out.resolve();
  await Promise.all(made);
  expect(calls).toEqual([2, 3, 1, 1, 1]);
});

test('of several listeners for the same thing one is told, and the next when that has gone', () => {
  const limiter = new CallLimiter('an API');
  const told: string[] = [];
  const ignoreFirst = limiter.watch('a job', () => void told.push('first'));
  limiter.watch('a job', () => void told.push('second'));
  limiter.watch('another job', () => void told.push('other'));
  limiter.share(10, 'ten');
  ignoreFirst();
  limiter.share(5, 'five');
  expect(told).toEqual(['first', 'other', 'second', 'other']);
});

/** Calls an API without end, so many at a time, and comes back when it is refused. */
function startJob(called: LegacyApi, name: string, concurrency: number) {
  const ended = new AbortController();
  const job = { served: 0, stop };
  let next = 0;
  const callAgain = async (): Promise<void> => {
    for (let attempt = 1; !ended.signal.aborted; attempt++) {
      const turn = { waiting: ended.signal, signal: ended.signal, attempt, reserve: () => Promise.resolve() };
      try {
        await called.sentences(`${name}-${next++}`, turn);
        job.served++;
        attempt = 0;
      } catch (error) {
        if (error instanceof HttpStatusError) await delay(100);
      }
    }
  };
  const calling = Array.from({ length: concurrency }, callAgain);
  async function stop(): Promise<void> {
    ended.abort();
    await Promise.all(calling);
  }
  return job;
}

/** A limiter that lets one call out, which is out. */
async function limitedToOne(): Promise<{ limiter: CallLimiter; out: PromiseWithResolvers<void> }> {
  const limiter = new CallLimiter('an API');
  limiter.share(1, 'for this test');
  const out = Promise.withResolvers<void>();
  void limiter.run({ waiting: never, attempt: 1 }, () => out.promise);
  await Promise.resolve();
  return { limiter, out };
}
