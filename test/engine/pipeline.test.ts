import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { countersOfChunk } from '../../packages/keystride/src/page/chunk.ts';
import { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import { InMemoryStep, type ItemScript, type PageScript, type StepScript } from './in-memory-step.ts';

const item: fc.Arbitrary<ItemScript> = fc.record({
  fate: fc.constantFrom('write', 'write', 'write', 'filter', 'skip', 'unreadable'),
  turns: fc.oneof(fc.constant(0), fc.nat(12)),
  failures: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2) }),
  bytes: fc.oneof(fc.constant(0), fc.nat(40)),
});

const step: fc.Arbitrary<StepScript> = fc.record({
  items: fc.array(item, { maxLength: 60 }),
  chunkSize: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 70 })),
  concurrency: fc.integer({ min: 1, max: 12 }),
  commitTurns: fc.nat(6),
  readTurns: fc.nat(4),
  bounded: fc.boolean(),
  sized: fc.boolean(),
});

const page: fc.Arbitrary<PageScript> = fc.record({
  stopAfterStarts: fc.option(fc.nat(40)),
  reason: fc.constantFrom('pageOver', 'cancelled'),
  stopWhileReading: fc.oneof(
    { weight: 4, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.boolean() },
  ),
  pageSeconds: fc.constantFrom(60, 60, 0.002, 0),
  failingCommit: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 4 }),
});

const undisturbed: PageScript = {
  stopAfterStarts: null,
  reason: 'pageOver',
  pageSeconds: 60,
  failingCommit: null,
};

/** Generous, so that only a page that waits for ever is caught. */
const patienceMs = 5_000;

test('does each item exactly once, in key order, wherever pages stop and commits fail', async () => {
  const property = fc.asyncProperty(
    step,
    fc.array(page, { maxLength: 5 }),
    fc.integer({ min: 1, max: 120 }),
    async (script, pages, limit) => {
      const budget = new ByteBudget(limit);
      const run = new InMemoryStep(script, budget);
      let done = false;
      for (const next of [...pages, undisturbed]) {
        done = (await ends(run.page(next))) === true;
        if (done) break;
      }
      expect(done).toBe(true);
      expect(run.effects).toEqual(run.model);
      expect(run.mostInFlight).toBeLessThanOrEqual(script.concurrency);
      expect(run.commitsAtATime).toBeLessThanOrEqual(1);
      expect(budget.held).toBe(0);
      expect(run.chunks.map(({ last }) => last)).toEqual(
        run.chunks.map((_, index) => index === run.chunks.length - 1),
      );
    },
  );
  await fc.assert(property, { numRuns: 400, endOnFailure: false, interruptAfterTimeLimit: 25_000 });
}, 60_000);

test('commits whole chunks and calls each processor once when nothing disturbs it', async () => {
  const property = fc.asyncProperty(step, async (script) => {
    const run = new InMemoryStep(script, new ByteBudget(Number.MAX_SAFE_INTEGER));
    expect(await ends(run.page(undisturbed))).toBe(true);
    const readable = run.chunks.map((chunk) => countersOfChunk(chunk).read);
    expect(readable.slice(0, -1)).toEqual(readable.slice(0, -1).map(() => script.chunkSize));
    expect(readable.at(-1)).toBeLessThanOrEqual(script.chunkSize);
    expect(run.effects).toEqual(run.model);
    expect(run.calls).toEqual(
      script.items.map(({ fate, failures }) => (fate === 'unreadable' ? 0 : failures + 1)),
    );
  });
  await fc.assert(property, { numRuns: 300, interruptAfterTimeLimit: 25_000 });
}, 60_000);

test('keeps books that balance in every chunk', async () => {
  const property = fc.asyncProperty(step, fc.integer({ min: 1, max: 60 }), async (script, limit) => {
    const run = new InMemoryStep(script, new ByteBudget(limit));
    await ends(run.page(undisturbed));
    for (const chunk of run.chunks) {
      const { outputs, skips } = chunk;
      const counters = countersOfChunk(chunk);
      expect(counters.read + counters.readSkipped).toBe(
        counters.written + counters.filtered + counters.skipped,
      );
      expect([counters.written, counters.skipped]).toEqual([outputs.length, skips.length]);
    }
  });
  await fc.assert(property, { numRuns: 150, interruptAfterTimeLimit: 15_000 });
}, 60_000);

test.each([0, 1, 2, 3, 4, 5, 6])('%i items in chunks of 3', async (count) => {
  const items = Array.from(
    { length: count },
    () => ({ fate: 'write', turns: 0, failures: 0, bytes: 0 }) as const,
  );
  for (const bounded of [true, false]) {
    const script = { items, chunkSize: 3, concurrency: 2, commitTurns: 1, readTurns: 1, bounded };
    const run = new InMemoryStep(script, new ByteBudget(100));
    expect(await ends(run.page(undisturbed))).toBe(true);
    expect(run.effects).toEqual(run.model);
    expect(run.chunks.at(-1)?.last).toBe(true);
  }
});

const quick = { fate: 'write', turns: 0, failures: 0, bytes: 0 } as const;

test('lets nothing behind a chunk whose commit fails commit, though it is ready', async () => {
  const items = [quick, { ...quick, turns: 3 }, quick, quick, quick, quick, quick, quick];
  const script = { items, chunkSize: 1, concurrency: 2, commitTurns: 1, readTurns: 0, bounded: false };
  const run = new InMemoryStep(script, new ByteBudget(100));
  expect(await ends(run.page({ ...undisturbed, failingCommit: 1 }))).toBe(undefined);
  expect(run.effects).toEqual([]);
  expect(await ends(run.page(undisturbed))).toBe(true);
  expect(run.effects).toEqual(run.model);
});

test('gets past unreadable rows, however many there are one after another', async () => {
  const items = [
    quick,
    ...Array.from({ length: 50 }, () => ({ ...quick, fate: 'unreadable' }) as const),
    quick,
  ];
  const script = { items, chunkSize: 2, concurrency: 1, commitTurns: 0, readTurns: 0, bounded: false };
  const run = new InMemoryStep(script, new ByteBudget(100));
  expect(await ends(run.page(undisturbed))).toBe(true);
  expect(run.effects).toEqual(run.model);
});

test('goes on processing behind a slow item at the front, and commits in key order', async () => {
  const items = [{ ...quick, turns: 300 }, ...Array.from({ length: 9 }, () => ({ ...quick, turns: 1 }))];
  const script = { items, chunkSize: 5, concurrency: 2, commitTurns: 0, readTurns: 0, bounded: false };
  const run = new InMemoryStep(script, new ByteBudget(100));
  const running = run.page(undisturbed);
  for (let turn = 0; turn < 100; turn++) await nextTurn();
  expect(run.calls).toEqual(items.map(() => 1));
  expect(run.effects).toEqual([]);
  expect(await ends(running)).toBe(true);
  expect(run.effects).toEqual(run.model);
});

test('a page has committed what it has started when its time is over: the next one repeats next to nothing', async () => {
  const items = Array.from({ length: 5_000 }, () => ({ ...quick, turns: 1 }));
  const script = { items, chunkSize: 5, concurrency: 5, commitTurns: 200, readTurns: 0, bounded: false };
  const run = new InMemoryStep(script, new ByteBudget(100));
  const pages = 6;
  await whileTurnsAreTime(async () => {
    for (let ended = 0; ended < pages; ended++)
      expect(await ends(run.page({ ...undisturbed, pageSeconds: 10 }))).toBe(false);
  });
  const repeated = run.calls.reduce((sum, calls) => sum + Math.max(0, calls - 1), 0);
  // A page has three chunks in hand at any time, and would leave one of them at least.
  expect(repeated / (pages - 1)).toBeLessThan(1);
});

/** A turn of the event loop is a millisecond, however long the machine takes for it. */
async function whileTurnsAreTime(work: () => Promise<void>): Promise<void> {
  let turn = 0;
  let next: NodeJS.Immediate;
  const take = () => {
    turn++;
    next = setImmediate(take);
  };
  take();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => turn);
  try {
    await work();
  } finally {
    clock.mockRestore();
    clearImmediate(next!);
  }
}

async function ends<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the page did not end within ${patienceMs} ms`)), patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

test('a read that takes longer than a page comes to a chunk all the same, and a cancelled one is given up', async () => {
  const items = Array.from(
    { length: 30 },
    () => ({ fate: 'write', turns: 0, failures: 0, bytes: 0 }) as const,
  );
  const script = { items, chunkSize: 10, concurrency: 4, commitTurns: 1, readTurns: 50, bounded: true };
  const late = new InMemoryStep(script, new ByteBudget(100));
  await late.page({ ...undisturbed, stopWhileReading: true });
  expect(late.effects).toHaveLength(10);
  const cancelled = new InMemoryStep(script, new ByteBudget(100));
  await cancelled.page({ ...undisturbed, reason: 'cancelled', stopWhileReading: true });
  expect(cancelled.effects).toEqual([]);
});
