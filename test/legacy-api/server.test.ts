import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { directoryBodies } from '../../src/stubs/legacy-api/bodies.ts';
import { splitSentences } from '../../src/stubs/legacy-api/directory.ts';
import { createDocumentSource } from '../../src/stubs/legacy-api/documents.ts';
import { parseOptions } from '../../src/stubs/legacy-api/options.ts';
import { documentUrl, SEED, SIZES, startStub, ticketKeys, type RunningStub } from './support.ts';

const SERVER = new URL('../../src/stubs/legacy-api/server.ts', import.meta.url).pathname;

let stub: RunningStub | undefined;
let child: ChildProcess | undefined;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'legacy-api-'));
});

afterAll(() => rm(directory, { recursive: true }));

afterEach(async () => {
  await stub?.stop();
  stub = undefined;
  child?.kill('SIGKILL');
  child = undefined;
});

test('serves a document as JSON with its length, and any key has one', async () => {
  stub = await startStub();
  for (const ticketKey of ['T-0000001', 'a/b c/ä#?%.txt', 'constructor']) {
    const response = await stub.get(ticketKey);
    const source = createDocumentSource(SEED, SIZES);
    const plan = source.plan(ticketKey);
    expect(response.headers.get('content-length')).toBe(String(plan.contentLength));
    expect(await response.json()).toEqual({ ticketKey, sentences: source.sentences(plan) });
  }
});

test('counts calls, keys, repeated calls and the most in flight', async () => {
  // Long enough for all calls to be open at once, also on a machine that is busy.
  stub = await startStub({ latency: 1000 });
  const { get } = stub;
  await Promise.all(ticketKeys(300).map(async (key) => (await get(key)).text()));
  await (await stub.get('T-0000001')).text();
  await (await stub.get('T-0000001')).text();
  await (await stub.get('T-0000002')).text();
  expect(await stub.stats()).toEqual({
    calls: 303,
    inFlight: 0,
    peakInFlight: 300,
    keys: 300,
    keysCalledMoreThanOnce: 2,
    repeatedCalls: 3,
    answers: { 200: 303 },
    firstCallAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    lastCallAt: expect.stringMatching(/\.\d{3}Z$/),
  });
  await stub.post('/reset');
  expect(await stub.stats()).toMatchObject({
    calls: 0,
    peakInFlight: 0,
    keys: 0,
    answers: {},
    firstCallAt: null,
  });
});

test('never counts more in flight than a client has open', async () => {
  stub = await startStub({ latency: 20, jitter: 10 });
  const keys = ticketKeys(400);
  const callers = Array.from({ length: 20 }, async () => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) await (await stub?.get(key))?.text();
  });
  await Promise.all(callers);
  expect(await stub.stats()).toMatchObject({ calls: 400, peakInFlight: 20, repeatedCalls: 0 });
});

test('counts a client that gives up in the middle of a large document', async () => {
  stub = await startStub({ overrides: { 'T-0000001': '60MiB' } });
  const response = await stub.get('T-0000001');
  await response.body?.cancel();
  await expect.poll(stub.stats).toMatchObject({ calls: 1, inFlight: 0, answers: { dropped: 1 } });
});

test('answers 429 above its cap, and takes another cap while it runs', async () => {
  stub = await startStub({ latency: 1_500, maxConcurrent: 10 });
  const { get } = stub;
  const burst = async (keys: string[]) => {
    const responses = await Promise.all(keys.map((key) => get(key)));
    return responses.filter((response) => response.status === 429).length;
  };
  expect(await burst(ticketKeys(25))).toBe(15);
  await stub.post('/configure', { maxConcurrent: 20 });
  expect(await burst(ticketKeys(25))).toBe(5);
  await stub.post('/configure', { maxConcurrent: null, latency: 0 });
  expect(await burst(ticketKeys(25))).toBe(0);
});

test('lets calls above its cap wait their turn, and refuses those that do not fit into its queue', async () => {
  stub = await startStub({ latency: 200, maxConcurrent: 10, maxQueued: 15 });
  const { get } = stub;
  const began = performance.now();
  const answers = await Promise.all(
    ticketKeys(30).map(async (key) => ({
      status: (await get(key)).status,
      after: performance.now() - began,
    })),
  );
  const served = answers.filter(({ status }) => status === 200).map(({ after }) => after);
  const [, second, third] = [0, 10, 20].map((place) => served.toSorted((a, b) => a - b)[place]);
  expect(served.length).toBe(25);
  // Timers may be a millisecond early.
  expect(second).toBeGreaterThan(2 * 199);
  expect(third).toBeGreaterThan(3 * 199);
  expect(await stub.stats()).toMatchObject({ inFlight: 0, answers: { 200: 25, 429: 5 } });
});

test('who gives up leaves the queue, and a higher cap lets in who waits there', async () => {
  stub = await startStub({ maxConcurrent: 1, maxQueued: 9, overrides: { 'T-0000001': 'hang' } });
  const { get, stats } = stub;
  const hanging = get('T-0000001', { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await expect.poll(stats).toMatchObject({ inFlight: 1 });
  await expect(get('T-0000002', { signal: AbortSignal.timeout(100) })).rejects.toThrow(/timeout/);
  const waiting = get('T-0000003');
  await expect.poll(stats).toMatchObject({ inFlight: 2, answers: { dropped: 1 } });
  await stub.post('/configure', { maxConcurrent: 2 });
  expect((await waiting).status).toBe(200);
  await stub.stop();
  stub = undefined;
  await hanging;
});

test('refuses a configuration that it does not understand, and keeps the old one', async () => {
  stub = await startStub({ overrides: { 'T-0000001': '404' } });
  for (const [change, message] of [
    [{ notFoud: 0.1 }, /notFoud/],
    [{ notFound: 1.1 }, /notFound: must be a share/],
    [{ notFound: 0.6, malformed: 0.6 }, /add up to 1\.2/],
    [{ overrides: { 'T-0000001': 'nonsense' } }, /overrides\.T-0000001: "nonsense" is not a status/],
  ] as const) {
    const response = await stub.post('/configure', change);
    expect(response.status).toBe(400);
    const answer = (await response.json()) as { message: string };
    expect(answer.message).toMatch(message);
  }
  expect((await stub.get('T-0000001')).status).toBe(404);
});

test('a wrong path is not taken for a document that does not exist', async () => {
  stub = await startStub();
  for (const path of ['/', '/documents/a/b/sentences', '/documents//sentences', '/documents/%ff/sentences']) {
    expect((await fetch(stub.url + path)).status).toBe(501);
  }
});

test('serves the text files of a directory, one sentence after the other, and nothing beside them', async () => {
  await mkdir(join(directory, 'sub'));
  await writeFile(
    join(directory, 'README.md'),
    'First one.  Second, e.g. this?\n\nDritter Satz! 마지막 문장.',
  );
  await writeFile(join(directory, 'sub', 'ä b.txt'), 'Only.');
  await writeFile(join(directory, 'image.png'), Buffer.from([1, 0, 2]));
  await writeFile(join(directory, 'latin1.txt'), Buffer.from('caf\xe9 au lait', 'latin1'));
  stub = await startStub({}, await directoryBodies(directory));
  expect(await (await stub.get('README.md')).json()).toEqual({
    ticketKey: 'README.md',
    sentences: [
      { no: 1, text: 'First one.' },
      { no: 2, text: 'Second, e.g. this?' },
      { no: 3, text: 'Dritter Satz!' },
      { no: 4, text: '마지막 문장.' },
    ],
  });
  expect(await (await stub.get('sub/ä b.txt')).json()).toMatchObject({
    sentences: [{ no: 1, text: 'Only.' }],
  });
  for (const key of ['image.png', 'latin1.txt', 'sub', '../etc/passwd', 'sub/../README.md', 'T-0000001']) {
    expect((await stub.get(key)).status).toBe(404);
  }
});

test('a long text is split in time that grows with its length', () => {
  expect(splitSentences('A sentence of some words. '.repeat(100_000)).length).toBe(100_000);
});

test('the command prints its address first, says what it is, and ends on SIGTERM with calls open', async () => {
  child = spawn(process.execPath, [SERVER, '--port', '0', '--override', 'a=b=404', '--override', 'T-1=hang']);
  const stderr: string[] = [];
  child.stderr?.on('data', (text) => stderr.push(String(text)));
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect((await fetch(documentUrl(url, 'a=b'))).status).toBe(404);
  const hanging = expect(fetch(documentUrl(url, 'T-1'))).rejects.toThrow(/fetch failed/);
  await expect.poll(async () => (await fetch(`${url}/stats`)).json()).toMatchObject({ inFlight: 1 });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await hanging;
  expect(stderr.join('')).toContain('test tool');
});

test.each([
  [['--nope'], /Unknown option '--nope'/],
  [['--latency', 'fast'], /--latency "fast" is no number/],
  [['--latency', ''], /--latency "" is no number/],
  [['--not-found', '1.5'], /share from 0 to 1/],
  [['--hang', '0.6', '--truncate', '0.5'], /shares of the calls add up to 1\.1/],
  [['--max-concurrent', '0'], /maxConcurrent/],
  [['--max-queued', '1.5'], /maxQueued/],
  [['--sizes', '2KB:x'], /--sizes 2KB:x is malformed/],
  [['--override', 'T-1'], /--override T-1 is malformed/],
  [['--override', 'T-1=nonsense'], /"nonsense" is not a status/],
  [['--override', 'T-1=503*0'], /"503\*0" is not a status/],
  [['--port', '70000'], /--port 70000 is no port/],
])('refuses the options %j', (args, message) => expect(() => parseOptions(args)).toThrow(message));

test('the command ends with a message when it cannot serve', async () => {
  const from = join(directory, 'nowhere');
  const failure = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [SERVER, '--from', from], (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(failure).toEqual({ code: 1, stderr: expect.stringContaining(`documents below ${from}`) as string });
});
