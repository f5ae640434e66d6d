import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { largestRequest } from '../../packages/keystride/src/codec/app.ts';
import { type Answer, type Sent, sendTo } from '../console/support.ts';
import { loadedCodecServer } from './support.ts';

const keys = { KEYSTRIDE_ENCRYPTION_KEYS: `2026-11=${randomBytes(32).toString('base64')}` };
const ui = 'http://127.0.0.1:8233';
const token = 'a-secret-of-this-server';

let ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(ends.map((end) => end()));
  ends = [];
});

/** One request to a codec server with these settings. */
async function serving(
  environment: NodeJS.ProcessEnv = {},
): Promise<(path: string, sent?: Sent) => Promise<Answer>> {
  const { port, stop } = await loadedCodecServer({ ...keys, TEMPORAL_UI_URL: ui, ...environment });
  ends.push(stop);
  return (path, sent = {}) => sendTo(port, path, { method: 'POST', ...sent });
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const bodyOf = (text: string) =>
  JSON.stringify({ payloads: [{ metadata: { encoding: base64('json/plain') }, data: base64(text) }] });

test('what it has encrypted it decrypts, and nothing of it is readable in between', async () => {
  const send = await serving();
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 8, unit: 'binary' }), async (text) => {
      const sealed = await send('/encode', { body: bodyOf(text) });
      expect(sealed.text).not.toContain(base64(text));
      expect(Buffer.from(JSON.stringify(sealed.json())).includes(Buffer.from(text))).toBe(false);
      const opened = await send('/decode', { body: sealed.text });
      expect(opened.json()).toEqual(JSON.parse(bodyOf(text)));
    }),
    { numRuns: 30 },
  );
});

test('what is not encrypted is given back as it is', async () => {
  const send = await serving();
  expect((await send('/decode', { body: bodyOf('"plain"') })).json()).toEqual(JSON.parse(bodyOf('"plain"')));
});

test('a payload of a key that it has not is refused by the name of the key', async () => {
  const other = await serving({ KEYSTRIDE_ENCRYPTION_KEYS: `old=${randomBytes(32).toString('base64')}` });
  const sealed = await other('/encode', { body: bodyOf('"text"') });
  const answer = await (await serving())('/decode', { body: sealed.text });
  expect(answer.status).toBe(400);
  expect(answer.text).toContain('the key old, which this process does not have');
});

test.each([
  '',
  'x',
  '{}',
  '[]',
  'null',
  '{"payloads":1}',
  '{"payloads":[1]}',
  '{"payloads":[{"metadata":1}]}',
])('a request that is none is refused, and not repeated: %s', async (body) => {
  const answer = await (await serving())('/decode', { body });
  expect(answer.status).toBe(400);
  expect(answer.json()).toEqual({ message: expect.stringContaining('payloads') });
});

test('a request that is too large is refused', async () => {
  const send = await serving();
  expect((await send('/decode', { body: 'x'.repeat(largestRequest + 1) })).status).toBe(413);
});

describe('who may ask', () => {
  test.each(['evil.example', 'evil.example:PORT', '127.0.0.1:1'])(
    'nobody by another name, such as %s',
    async (host) => {
      const { port, stop } = await loadedCodecServer(keys);
      ends.push(stop);
      const headers = { host: host.replace('PORT', String(port)) };
      expect((await sendTo(port, '/decode', { method: 'POST', headers, body: bodyOf('') })).status).toBe(421);
    },
  );

  test.each([ui, 'http://localhost:8233'])('the Temporal UI, at %s', async (origin) => {
    const send = await serving();
    const asked = await send('/decode', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect(asked.headers['access-control-allow-origin']).toBe(origin);
    expect(asked.headers['access-control-allow-headers']).toMatch(/x-namespace/iu);
    const answer = await send('/decode', { headers: { origin }, body: bodyOf('') });
    expect(answer.status).toBe(200);
    expect(answer.headers['access-control-allow-origin']).toBe(origin);
  });

  test.each(['https://evil.example', 'null', 'http://127.0.0.1:1', 'https://127.0.0.1:8233'])(
    'no other page, such as %s',
    async (origin) => {
      const send = await serving();
      for (const sent of [{ method: 'OPTIONS' }, { body: bodyOf('') }]) {
        const { status, headers } = await send('/decode', { ...sent, headers: { origin } });
        expect(status).toBe(403);
        expect(headers['access-control-allow-origin']).toBeUndefined();
      }
    },
  );

  test('a page that is named, and no other then', async () => {
    const send = await serving({ KEYSTRIDE_CODEC_SERVER_ORIGINS: 'https://temporal.example.com' });
    const ask = async (origin: string) =>
      (await send('/decode', { headers: { origin }, body: bodyOf('') })).status;
    expect(await ask('https://temporal.example.com')).toBe(200);
    expect(await ask(ui)).toBe(403);
  });

  test('whoever shows the token, where there is one', async () => {
    const send = await serving({ KEYSTRIDE_CODEC_SERVER_TOKEN: token });
    const ask = async (authorization: string) =>
      (await send('/decode', { headers: { authorization }, body: bodyOf('') })).status;
    expect(await ask('')).toBe(401);
    expect(await ask('Bearer wrong')).toBe(401);
    expect(await ask(`Bearer ${token}`)).toBe(200);
  });

  test('nobody on another address, while it would be everybody', async () => {
    await expect(serving({ KEYSTRIDE_CODEC_SERVER: '0.0.0.0:0' })).rejects.toThrow(
      /KEYSTRIDE_CODEC_SERVER_TOKEN/u,
    );
    await serving({ KEYSTRIDE_CODEC_SERVER: '0.0.0.0:0', KEYSTRIDE_CODEC_SERVER_TOKEN: token });
  });

  test('whoever asks for its namespace', async () => {
    const send = await serving({ TEMPORAL_ADDRESS: '127.0.0.1:9', TEMPORAL_NAMESPACE: 'shop' });
    const ask = async (namespace: string) =>
      (await send('/decode', { headers: { 'x-namespace': namespace }, body: bodyOf('') })).status;
    expect(await ask('shop')).toBe(200);
    expect(await ask('other')).toBe(403);
  });
});

test('without keys it does not start', async () => {
  await expect(loadedCodecServer({})).rejects.toThrow(/KEYSTRIDE_ENCRYPTION_KEYS is not set/u);
});

test.each([
  ['KEYSTRIDE_CODEC_SERVER', '9234', /is not like/u],
  ['KEYSTRIDE_CODEC_SERVER_TOKEN', 'short', /shorter than 16 characters/u],
  ['KEYSTRIDE_CODEC_SERVER_ORIGINS', 'temporal.example.com', /is not like https/u],
  ['KEYSTRIDE_CODEC_SERVER_ORIGINS', 'https://temporal.example.com/', /is not like https/u],
  ['KEYSTRIDE_CODEC_SERVER_ORIGINS', '*', /is not like https/u],
])('%s=%s is refused', async (variable, value, problem) => {
  await expect(serving({ [variable]: value })).rejects.toThrow(problem);
});
