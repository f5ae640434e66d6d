import type { LookupAddress } from 'node:dns';
import { createServer } from 'node:http';
import { isIP } from 'node:net';
import fc from 'fast-check';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAgent } from '../../packages/keystride/src/stores/http/calls.ts';
import { Unacceptable } from '../../packages/keystride/src/stores/http/errors.ts';
import {
  allowPrivateHosts,
  connectorTo,
  isPrivate,
} from '../../packages/keystride/src/stores/http/private-hosts.ts';
import { postToWebhook } from '../../packages/keystride/src/stores/http/webhook.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { listening, type Listening } from '../support/listening.ts';

let server: Listening;
let port: number;
let calls = 0;

beforeAll(async () => {
  server = await listening(
    createServer((_, response) => {
      calls++;
      response.end('{}');
    }),
  );
  port = Number(new URL(server.url).port);
});

afterAll(() => server?.stop());

afterEach(() => {
  allowPrivateHosts([]);
  calls = 0;
});

/** What comes of a call to an address, by the agent of an API. */
async function call(agent: Agent, url: string): Promise<unknown> {
  try {
    const { statusCode, body } = await request(url, {
      dispatcher: agent,
      signal: AbortSignal.timeout(5_000),
    });
    await body.dump();
    return statusCode;
  } catch (error) {
    return error;
  } finally {
    await agent.destroy();
  }
}

/** An API by a name that has this address: what a name server, or whoever has taken it over, says. */
function named(address: string, name = 'api.example.com'): Promise<unknown> {
  const found: LookupAddress[] = [{ address, family: isIP(address) }];
  const lookUp = ((_: string, __: object, callback: (error: null, found: LookupAddress[]) => void) =>
    callback(null, found)) as unknown as Parameters<typeof connectorTo>[1];
  const base = `http://${name}:${port}`;
  return call(new Agent({ connect: connectorTo(base, lookUp) }), base);
}

test.each(['127.0.0.1', 'localhost'])(
  'an API of this machine is reached as %s, as the deployment names it',
  async (host) => {
    const base = `http://${host}:${port}`;
    expect(await call(createAgent(base), base)).toBe(200);
  },
);

test.each([
  'http://127.0.0.1:PORT',
  'http://localhost:PORT',
  'http://2130706433:PORT',
  'http://0x7f.1:PORT',
  'http://0177.0.0.1:PORT',
  'http://[::ffff:127.0.0.1]:PORT',
  'http://169.254.169.254/latest/meta-data',
  'http://api.example.com.evil.example',
  'http://api.example.com:8080',
  'http://api.example.com',
])('the agent of an API goes nowhere else: %s', async (url) => {
  const agent = createAgent('https://api.example.com');
  expect(await call(agent, url.replace('PORT', String(port)))).toBeInstanceOf(Unacceptable);
  expect(calls).toBe(0);
});

describe('a name', () => {
  test('that leads into a private network is refused, whatever its address is written like', async () => {
    const networks = ['10.', '127.', '192.168.', '169.254.', '172.16.', '100.64.', '0.'];
    const inside = fc
      .tuple(fc.constantFrom(...networks), fc.array(fc.nat(255), { minLength: 3, maxLength: 3 }))
      .map(([start, rest]) => [...start.split('.').filter(Boolean), ...rest].slice(0, 4));
    const hex = (pair: (string | number)[]) =>
      pair.map((byte) => Number(byte).toString(16).padStart(2, '0')).join('');
    const written = inside.chain((bytes) =>
      fc.constantFrom(
        bytes.join('.'),
        `::ffff:${bytes.join('.')}`,
        `::ffff:${hex(bytes.slice(0, 2))}:${hex(bytes.slice(2))}`,
        `0:0:0:0:0:ffff:${hex(bytes.slice(0, 2))}:${hex(bytes.slice(2))}`,
        `64:ff9b::${bytes.join('.')}`,
        `2002:${hex(bytes.slice(0, 2))}:${hex(bytes.slice(2))}::1`,
      ),
    );
    await fc.assert(
      fc.asyncProperty(written, async (address) => {
        expect(isPrivate(address), address).toBe(true);
        expect(await named(address), address).toBeInstanceOf(Unacceptable);
      }),
      { numRuns: 60 },
    );
    expect(calls).toBe(0);
  });

  test.each(['::1', '::', 'fd00:ec2::254', 'fe80::1', 'fc00::1', 'ff02::1'])(
    'at %s is refused',
    async (address) => {
      expect(await named(address)).toBeInstanceOf(Unacceptable);
    },
  );

  test.each(['8.8.8.8', '2606:4700::1111', '172.32.0.1', '100.128.0.1', '::ffff:8.8.8.8'])(
    'at %s is public',
    (address) => {
      expect(isPrivate(address)).toBe(false);
    },
  );

  test.each([['api.example.com'], ['127.0.0.0/8'], ['127.0.0.1']])(
    'that is listed is reached: %s',
    async (host) => {
      expect(await named('127.0.0.1')).toBeInstanceOf(Unacceptable);
      allowPrivateHosts(['10.0.0.0/8', host]);
      expect(await named('127.0.0.1')).toBe(200);
      expect(await named('127.0.0.1', 'other.example.com')).toSatisfy((told) =>
        host === 'api.example.com' ? told instanceof Unacceptable : told === 200,
      );
    },
  );
});

test.each(['http://169.254.169.254', 'http://[fd00:ec2::254]', 'http://2852039166', 'http://0xa9fea9fe'])(
  'the credentials of the machine are no API: %s',
  async (base) => {
    expect(await call(createAgent(base), base)).toBeInstanceOf(Unacceptable);
  },
);

test('the list is of names, addresses and networks', () => {
  const listed = (text: string) => loadConfig({ KEYSTRIDE_PRIVATE_HOSTS: text }).privateHosts;
  expect(listed('legacy-api, 10.0.0.0/8,fd00::1')).toEqual(['legacy-api', '10.0.0.0/8', 'fd00::1']);
  for (const wrong of ['10.0.0.0/33', 'http://x', '*', 'a b', '2130706433'])
    expect(() => listed(wrong), wrong).toThrow(/KEYSTRIDE_PRIVATE_HOSTS is not like/u);
});

test('a webhook is held to the same, and says what to set', async () => {
  const post = (address: string) => postToWebhook(address, {}, AbortSignal.timeout(5_000));
  expect(await post(`${server.url}/hook`)).toBe(200);
  await expect(post('http://169.254.169.254/token')).rejects.toThrow(
    /^the webhook is not called: 169\.254\.169\.254 is in a private network.*KEYSTRIDE_PRIVATE_HOSTS$/u,
  );
});
