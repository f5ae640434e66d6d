import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from 'keystride/testing';
import { control, reportOf } from '../support/runs.ts';
import { each, fails, Fixture, upTo } from './fixture.ts';

// Items 1 to 5, chunks of 2, no retry unless a test says so.
let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

test('22: the writer of the chunk with e fails for ever, items a…f, chunk 3 → run 1 failed with 3 written; run 2 writes the other 3; sum 6', async () => {
  const script = { items: 6, chunkSize: 3 };
  const first = await fixture.run('e', { ...script, faults: [fails('write', 5, { error: 'other' })] });
  expect(first.status).toBe('failed');
  expect(await fixture.effects('e')).toMatchObject({ read: 3, writtenCount: 3, written: [1, 2, 3] });
  const second = await fixture.run('e', script);
  expect(second.status).toBe('completed');
  expect(await fixture.effects('e')).toMatchObject({ read: 6, writtenCount: 6, written: upTo(6) });
  expect(await fixture.calls('e', 'write')).toEqual({ ...each([1, 2, 3]), ...each([4, 5, 6], 2) });
});

test.for(['process', 'write'] as const)(
  '23: retry 4, no skip, b fails for ever in %s → 4 retries, failed; attempts in the message',
  async (phase) => {
    const run = `b${phase}`;
    const retried = { retries: 4, retryCodes: ['ScriptedError'], skipCodes: [] };
    const { status, message } = await fixture.run(run, { ...retried, faults: [fails(phase, 2)] });
    expect(status).toBe('failed');
    expect(message).toContain('(attempt 5)');
    expect((await fixture.calls(run, phase))[2]).toBe(5);
    expect(await fixture.effects(run)).toMatchObject({ written: [], writtenCount: 0 });
  },
);

test.for(['process', 'write'] as const)(
  '24: fails twice in %s, then succeeds, retry 3 → completed, skipped 0, the processor of its neighbours ran once',
  async (phase) => {
    const run = `twice${phase}`;
    const retried = { retries: 3, retryCodes: ['ScriptedError'] };
    const { status } = await fixture.run(run, { ...retried, faults: [fails(phase, 4, { times: 2 })] });
    expect(status).toBe('completed');
    expect(await fixture.effects(run)).toMatchObject({ read: 5, skipped: 0, written: upTo(5) });
    const processed = phase === 'process' ? { 4: 3 } : { 4: 1 };
    expect(await fixture.calls(run, 'process')).toEqual({ ...each([1, 2, 3, 5]), ...processed });
  },
);

test.for(['process', 'write'] as const)(
  '25: retry 5, b and d fail for ever in %s, skippable, chunk 1 → skipped 2, written a,c,e,f; b and d tried 6 times each',
  async (phase) => {
    const run = `bd${phase}`;
    const retried = { retries: 5, retryCodes: ['ScriptedError'], chunkSize: 1, items: 6 };
    const { status } = await fixture.run(run, { ...retried, faults: [fails(phase, 2), fails(phase, 4)] });
    expect(status).toBe('completedWithSkips');
    expect(await fixture.effects(run)).toMatchObject({
      skips: [`${phase} 2`, `${phase} 4`],
      written: [1, 3, 5, 6],
    });
    expect(await fixture.calls(run, phase)).toEqual({ ...each([1, 3, 5, 6]), ...each([2, 4], 6) });
  },
);

test.for(['process', 'write'] as const)('26: a non-retryable class in %s → one attempt', async (phase) => {
  const run = `once${phase}`;
  const retried = { retries: 5, retryCodes: ['ScriptedError'] };
  const faults = [fails(phase, 2, { error: 'other' })];
  const { status, message } = await fixture.run(run, { ...retried, faults });
  expect(status).toBe('failed');
  expect(message).toContain('(attempt 1)');
  expect((await fixture.calls(run, phase))[2]).toBe(1);
});

test('27: a transient error on read (the connection is lost) → the page goes on from its cursor; nothing read twice reaches the writer', async () => {
  const faults = [fails('page', 5, { times: 1 })];
  const { status } = await fixture.run('lost', { items: 8, faults });
  expect(status).toBe('completed');
  expect((await fixture.calls('lost', 'page'))[5]).toBe(2);
  expect(await fixture.effects('lost')).toMatchObject({ read: 8, written: upTo(8) });
  expect(await fixture.calls('lost', 'write')).toEqual(each(upTo(8)));
});

test.for(['seconds', 'an HTTP date'])(
  '28: 429 with Retry-After as %s → waits that long, then succeeds; other items go on meanwhile',
  async (form) => {
    const api = await startApi((item, attempt) => {
      if (item !== 2 || attempt > 1) return undefined;
      // A date has no fractions of a second: three ahead are at least two.
      return form === 'seconds' ? '2' : new Date(Date.now() + 3_000).toUTCString();
    });
    try {
      const run = `wait${form.length}`;
      const { status } = await fixture.run(run, { apiUrl: api.url, concurrency: 3 });
      expect(status).toBe('completed');
      expect(await fixture.effects(run)).toMatchObject({ skipped: 0, written: upTo(5) });
      expect(api.callsOf(2)).toHaveLength(2);
      const [refused = 0, again = 0] = api.callsOf(2);
      expect(again - refused).toBeGreaterThanOrEqual(2_000);
      expect(again - refused).toBeLessThan(6_000);
      for (const other of [1, 3, 4, 5]) {
        expect(api.callsOf(other)).toHaveLength(1);
        expect(api.callsOf(other)[0]).toBeLessThan(again);
      }
    } finally {
      await api.close();
    }
  },
);

test.for([
  ['more seconds than a timer can wait', '2147484'],
  ['more digits than a number has', '9'.repeat(400)],
  ['a date that nobody lives to see', 'Fri, 31 Dec 9999 23:59:59 GMT'],
] as const)('28: 429 with Retry-After of %s → is not asked again meanwhile', async ([what, header]) => {
  const api = await startApi((item) => (item === 2 ? header : undefined));
  try {
    const handle = await fixture.start(what, { apiUrl: api.url, concurrency: 3 });
    await waitFor(() => api.callsOf(5).length === 1, { what: 'the other items to be called' });
    await control(handle, 'stop');
    expect(await reportOf(handle)).toMatchObject({ status: 'stopped' });
    expect(api.callsOf(2)).toHaveLength(1);
  } finally {
    await api.close();
  }
});

test.for(['memory', 'programming'] as const)(
  '29: a %s error in the processor → not retried as transient; failed with the item key, its stack in the log',
  async (error) => {
    const { status, message } = await fixture.run(error, {
      retries: 5,
      faults: [fails('process', 3, { error })],
    });
    expect(status).toBe('failed');
    expect(message).toMatch(/process of key 2 \(attempt 1\)/);
    expect(message).toContain(error === 'memory' ? 'RangeError' : 'TypeError');
    expect((await fixture.calls(error, 'process'))[3]).toBe(1);
    expect(await fixture.effects(error)).toMatchObject({ written: [1, 2], skips: [] });
    const log = await readFile(fixture.world.workers[0]?.logFile ?? '', 'utf8');
    const told = log
      .split('\n')
      .find((line) => line.includes(`fixture:run=${error},`) && line.includes('fixture-errors.ts'));
    expect(told, 'the place in the code, with the instance').toBeDefined();
    expect(told).toMatch(/"key":"2"/);
  },
);

/** An API that answers 429 with what `refuse` says, and 200 otherwise. */
async function startApi(refuse: (item: number, attempt: number) => string | undefined) {
  const calls = new Map<number, number[]>();
  const server = createServer((request, response) => {
    const item = Number(new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('item'));
    const times = [...(calls.get(item) ?? []), Date.now()];
    calls.set(item, times);
    const retryAfter = refuse(item, times.length);
    response.writeHead(retryAfter === undefined ? 200 : 429, retryAfter ? { 'retry-after': retryAfter } : {});
    response.end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    callsOf: (item: number) => calls.get(item) ?? [],
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

test.for([1, 2])('the report tells retries by code, over %i partitions', async (partitions) => {
  const run = `told${partitions}`;
  const retried = { retries: 3, retryCodes: ['ScriptedError'], items: 8, partitions };
  const faults = [fails('process', 2, { times: 2 }), fails('write', 7, { times: 1 })];
  const { report } = await fixture.run(run, { ...retried, faults });
  expect(report?.steps).toMatchObject([{ status: 'completed', retries: { ScriptedError: 3 } }]);
});

test('what an attempt of a page has tried again counts, though it failed', async () => {
  const told = {
    retries: 2,
    items: 2,
    chunkSize: 2,
    faults: [fails('process', 2, { error: 'reset', times: 4 })],
  };
  const { report } = await fixture.run('attempts', told);
  expect(report?.steps).toMatchObject([{ status: 'completed', retries: { CONNECTION_LOST: 3 } }]);
});
