import { afterEach, expect, test } from 'vitest';
import { parseOptions } from '../../src/stubs/message-provider/options.ts';
import {
  classifyInProgress,
  IdempotentApi,
} from '../../packages/keystride/src/stores/http/idempotent-api.ts';
import type { Listening } from '../support/listening.ts';
import { Provider, startMessageProvider } from '../support/message-provider.ts';

let running: Listening | undefined;
let api: IdempotentApi | undefined;

afterEach(async () => {
  await api?.close();
  await running?.stop();
  running = undefined;
  api = undefined;
});

async function start(behaviour: object = {}): Promise<{
  provider: Provider;
  url: string;
  send: (key: string, memberId: string) => Promise<void>;
}> {
  running = await startMessageProvider(behaviour);
  const { url } = running;
  const ours = (api = new IdempotentApi(`${url}/`, 'the message provider'));
  return {
    provider: new Provider(url),
    url,
    send: (idempotencyKey, memberId) => {
      const signal = AbortSignal.timeout(60_000);
      const body = { memberId, text: 'Hello.' };
      return ours.post({ path: '/messages', idempotencyKey, body, signal, waiting: signal, attempt: 1 });
    },
  };
}

test('a message that comes again under its key is accepted and not delivered again', async () => {
  const { provider, send } = await start();
  for (const key of ['a', 'b', 'a', 'a']) await send(key, key === 'a' ? '1' : '2');
  expect(await provider.statistics()).toEqual({
    received: 4,
    delivered: 2,
    keys: 2,
    repeatedKeys: 1,
    membersToldTwice: 0,
    answers: { 202: 4 },
  });
  expect(await provider.messages()).toEqual([
    { key: 'a', memberId: '1', received: 3, delivered: 1 },
    { key: 'b', memberId: '2', received: 1, delivered: 1 },
  ]);
});

test('a member who is told under two keys is told twice, and that shows', async () => {
  const { provider, send } = await start();
  await send('a', '1');
  await send('b', '1');
  expect(await provider.statistics()).toMatchObject({ delivered: 2, membersToldTwice: 1 });
});

test('a message that is being worked on is answered 409, which is tried again', async () => {
  const { provider, send } = await start({ latency: 1_000 });
  const first = send('a', '1');
  await expect.poll(async () => (await provider.statistics()).received).toBe(1);
  const error: unknown = await send('a', '1').catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'HttpStatusError', status: 409, code: 'IN_PROGRESS' });
  expect(classifyInProgress(error)).toMatchObject({ decision: 'retry' });
  await first;
  await send('a', '1');
  expect(await provider.statistics()).toMatchObject({ delivered: 1 });
});

test('a connection that drops after the message was accepted leaves it delivered', async () => {
  const { provider, send } = await start({ drop: 1 });
  await expect(send('a', '1')).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  expect(await provider.statistics()).toMatchObject({ delivered: 1, answers: { dropped: 1 } });
  await provider.configure({ drop: 0 });
  await send('a', '1');
  expect(await provider.statistics()).toMatchObject({ received: 2, delivered: 1 });
});

test('refusals, and Retry-After in both its forms, arrive with what they say', async () => {
  const { provider, send } = await start({ refusals: { 7: 'UNSUBSCRIBED' }, retryAfter: 5 });
  await expect(send('a', '7')).rejects.toMatchObject({ status: 400, code: 'UNSUBSCRIBED' });
  await provider.configure({ refused: 1 });
  await expect(send('b', '8')).rejects.toMatchObject({ status: 400, code: 'UNKNOWN_PHONE' });
  await provider.configure({ tooMany: 1 });
  await expect(send('c', '9')).rejects.toMatchObject({ status: 429, retryAfterMs: 5_000 });
  await provider.configure({ tooMany: 0, unavailable: 1 });
  const error: unknown = await send('c', '9').catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ status: 503 });
  // A date, and rounded up to its second.
  expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0);
  expect(await provider.statistics()).toMatchObject({ delivered: 0 });
});

test('a message without a key or a member is refused, and a wrong path is no refusal', async () => {
  const { url } = await start();
  const post = async (path: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return [response.status, ((await response.json()) as { code?: string }).code];
  };
  const message = { memberId: '1', text: 'Hello.' };
  expect(await post('/messages', {}, message)).toEqual([400, 'IDEMPOTENCY_KEY_MISSING']);
  const keyed = { 'idempotency-key': 'a' };
  expect(await post('/messages', keyed, { memberId: 1 })).toEqual([400, 'MALFORMED_MESSAGE']);
  expect(await post('/message', keyed, message)).toEqual([501, undefined]);
});

test.each([
  [['--nope'], /Unknown option '--nope'/],
  [['--refused', '2'], /refused: must be a share from 0 to 1/],
  [['--drop', '0.6', '--too-many', '0.5'], /shares of the calls add up to 1\.1/],
  [['--port', '70000'], /--port 70000 is no port/],
])('refuses the options %j', (args, message) => expect(() => parseOptions(args)).toThrow(message));
