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
  const limiter = new CallLimiter('the API');
  const changes: LimitChange[] = [];
  limiter.watch('a job', (change) => void changes.push(change));

  startCallers(250, limiter);
  await settled(changes, capacity);
  expect(changes[0]?.reason).toMatch(/^answers took \d+ ms, \d+\.\d × the best$/);

  await stub.post('/configure', { maxConcurrent: capacity / 2 });
  await settled(changes, capacity / 2);
}, 120_000);

/** Waits until the limit is such that the API always has work, and less than half as much that waits. */
function settled(changes: readonly LimitChange[], level: number): Promise<void> {
  const limit = () => (changes.at(-1)?.to ?? 0) / level;
  const fits = (found: number) => found >= 0.75 && found <= 1.5;
  return expect.poll(limit, { timeout: 50_000 }).toSatisfy(fits);
}

async function stopCallers(): Promise<void> {
  ended.abort();
  await Promise.all(calling);
  ended = new AbortController();
}

/** Calls without end, so many at a time, or as many of them as the limiter lets out. */
function startCallers(concurrency: number, limiter: CallLimiter): void {
  const { signal } = ended;
  let next = 0;
  const call = async (answered?: () => void) => {
    const response = await stub.get(`T-${next++}`);
    answered?.();
    await response.text();
  };
  const callAgain = async () => {
    try {
      while (!signal.aborted) await limiter.run({ waiting: signal, attempt: 1 }, call);
    } catch (error) {
      if (error !== signal.reason) throw error;
    }
  };
  calling = Array.from({ length: concurrency }, callAgain);
}
