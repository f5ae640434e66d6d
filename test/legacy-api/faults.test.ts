import { afterEach, expect, test } from 'vitest';
import { decideFault, latencyOf } from '../../src/stubs/legacy-api/faults.ts';
import { changeBehaviour, defaultBehaviour } from '../../src/stubs/legacy-api/settings.ts';
import { SEED, startStub, ticketKeys, type RunningStub } from './support.ts';

let stub: RunningStub | undefined;

afterEach(async () => {
  await stub?.stop();
  stub = undefined;
});

const KEY = 'T-0000007';

async function overridden(fault: string, more: Record<string, unknown> = {}): Promise<RunningStub> {
  stub = await startStub({ overrides: { [KEY]: fault }, ...more });
  return stub;
}

const kinds = { notFound: 0.1, malformed: 0.05, unsupported: 0.2, tooMany: 0.1, hang: 0.05 };
const behaviour = changeBehaviour(defaultBehaviour, kinds);

test('shares of the keys are kept, and a key always answers the same', () => {
  const statuses = ticketKeys(10_000).map((key) => {
    const faults = [1, 2, 3, 4, 5, 6].map((attempt) => decideFault(behaviour, SEED, key, attempt));
    const lasting = faults.filter((fault) => fault?.kind !== 'hang' && !isStatus(fault, 429));
    expect(new Set(lasting.map((fault) => JSON.stringify(fault))).size).toBeLessThanOrEqual(1);
    return lasting[0];
  });
  const shareOf = (status: number) => statuses.filter((fault) => isStatus(fault, status)).length / 10_000;
  expect(shareOf(404)).toBeCloseTo(0.1, 1);
  expect(shareOf(400)).toBeCloseTo(0.05, 1);
  expect(shareOf(422)).toBeCloseTo(0.2, 1);
});

test('shares of the calls are kept, and a key fares otherwise the next time', () => {
  const calls = ticketKeys(10_000).map((key) =>
    [1, 2].map((attempt) => decideFault(behaviour, SEED, key, attempt)),
  );
  const refused = calls.filter(([first]) => isStatus(first, 429));
  expect(refused.length / 10_000).toBeCloseTo(0.1, 1);
  expect(refused.filter(([, second]) => isStatus(second, 429)).length).toBeLessThan(refused.length / 4);
});

function isStatus(fault: ReturnType<typeof decideFault>, status: number): boolean {
  return fault?.kind === 'status' && fault.status === status;
}

test('the latency varies by the jitter and never falls below nothing', () => {
  const swaying = changeBehaviour(defaultBehaviour, { latency: 100, jitter: 150 });
  const latencies = ticketKeys(1000).map((key) => latencyOf(swaying, SEED, key, 1));
  expect(Math.min(...latencies)).toBe(0);
  expect(Math.max(...latencies)).toBeGreaterThan(230);
  expect(Math.max(...latencies)).toBeLessThanOrEqual(250);
});

test.each([
  ['404', 404, 'NOT_FOUND'],
  ['400', 400, 'MALFORMED_REQUEST'],
  ['422', 422, 'UNSUPPORTED_FORMAT'],
  ['UNSUPPORTED_FORMAT', 422, 'UNSUPPORTED_FORMAT'],
  ['ENCRYPTED_DOCUMENT', 422, 'ENCRYPTED_DOCUMENT'],
  ['500', 500, 'INTERNAL_ERROR'],
  ['418', 418, 'INTERNAL_ERROR'],
])('%s is a status with a code and a message', async (fault, status, code) => {
  const { get } = await overridden(fault);
  const response = await get(KEY);
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual({ code, message: expect.stringMatching(/\w{3}/) as string });
  expect((await get('T-0000008')).status).toBe(200);
});

test.each(['429', '503'])('%s comes at once, with Retry-After in both its forms', async (fault) => {
  const { get } = await overridden(fault, { retryAfter: 7, latency: 60_000 });
  const seconds = (await get(KEY)).headers.get('retry-after');
  expect(seconds).toBe('7');
  const date = (await get(KEY)).headers.get('retry-after') ?? '';
  expect(date).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  const wait = Date.parse(date) - Date.now();
  expect(wait).toBeGreaterThan(6000);
  expect(wait).toBeLessThanOrEqual(8000);
});

test('a hanging call never answers', async () => {
  const { get, stats } = await overridden('hang');
  await expect(get(KEY, { signal: AbortSignal.timeout(150) })).rejects.toThrow(/timeout/);
  await expect.poll(stats).toMatchObject({ calls: 1, inFlight: 0, answers: { dropped: 1 } });
});

test('a stalled document begins and never ends', async () => {
  const { get } = await overridden('stall');
  const response = await get(KEY, { signal: AbortSignal.timeout(200) });
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow(/timeout/);
});

test('a truncated document breaks off before its Content-Length', async () => {
  const { get } = await overridden('truncate');
  const response = await get(KEY);
  expect(Number(response.headers.get('content-length'))).toBeGreaterThan(2000);
  await expect(response.text()).rejects.toThrow(/terminated/);
});

test('a reset connection answers nothing at all', async () => {
  const { get } = await overridden('reset');
  await expect(get(KEY)).rejects.toThrow(/fetch failed/);
});

test('invalid JSON is complete HTTP', async () => {
  const { get } = await overridden('invalid-json');
  const text = await (await get(KEY)).text();
  expect(text.length).toBeGreaterThan(500);
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
});

test('a wrong shape is valid JSON', async () => {
  const { get } = await overridden('wrong-shape');
  expect(await (await get(KEY)).json()).toEqual({ ticketKey: KEY, sentences: 0 });
});

test('a redirect leads to the document', async () => {
  const { get } = await overridden('redirect');
  expect((await get(KEY)).status).toBe(302);
  expect(await (await get(KEY, { redirect: 'follow' })).json()).toMatchObject({ ticketKey: KEY });
});

test('an override of a size makes a large document', async () => {
  const { get } = await overridden('18MiB');
  const response = await get(KEY);
  expect(Number(response.headers.get('content-length'))).toBeGreaterThan(18 * 2 ** 20);
  const { sentences } = (await response.json()) as { sentences: { no: number }[] };
  expect(sentences.at(-1)?.no).toBe(sentences.length);
});

test('an override may hold for the first calls only', async () => {
  const { get } = await overridden('503*2');
  const statuses = [await get(KEY), await get(KEY), await get(KEY)].map((response) => response.status);
  expect(statuses).toEqual([503, 503, 200]);
});
