import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ByteBudget } from '../../packages/keystride/src/page/byte-budget.ts';
import { safeMessage } from '../../packages/keystride/src/stores/safe-message.ts';
import { IdempotentApi } from '../../packages/keystride/src/stores/http/idempotent-api.ts';
import { LegacyApi } from '../../src/stores/legacy-api.ts';
import { boundedCall } from '../../packages/keystride/src/stores/http/calls.ts';
import { postToWebhook } from '../../packages/keystride/src/stores/http/webhook.ts';

const block = Buffer.alloc(256 * 1024, 'x');

let server: Server;
let base: string;
let api: LegacyApi;
let provider: IdempotentApi;
let seen: { path: string; headers: IncomingHttpHeaders; port: number | undefined }[];
let answer: (response: ServerResponse) => void;
let sent: number;

beforeEach(async () => {
  seen = [];
  sent = 0;
  server = createServer((request, response) => {
    seen.push({ path: request.url ?? '', headers: request.headers, port: request.socket.remotePort });
    response.on('error', () => undefined);
    request.resume();
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = new LegacyApi(base);
  provider = new IdempotentApi(base, 'the provider');
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await Promise.allSettled([api.close(), provider.close()]);
});

/** An answer that goes on for as long as somebody takes it, up to 400 MB. */
function endless(status: number) {
  return (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    const more = () => {
      while (sent < 400_000_000) {
        if (response.destroyed) return;
        sent += block.length;
        if (!response.write(block)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  };
}

const body =
  (bytes: Buffer | string, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(bytes);
  };

function sentences(key: string): Promise<string> {
  const budget = new ByteBudget(2 ** 30);
  const { signal } = new AbortController();
  const reserve = async (bytes: number) => {
    const reservation = budget.reserve(bytes);
    reservation.force();
    return reservation.admitted;
  };
  const context = { signal, waiting: signal, attempt: 1, source: 'test', concurrency: 250, reserve };
  return api.sentences(key, context as Parameters<LegacyApi['sentences']>[1]).then(String, safeMessage);
}

const post = (path: string, idempotencyKey = 'k') => {
  const { signal } = new AbortController();
  const context = { signal, waiting: signal, attempt: 1, source: 'test', concurrency: 250 };
  const given = { ...context, path, idempotencyKey, body: {} };
  return provider.post(given as Parameters<IdempotentApi['post']>[0]).then(() => 'posted', safeMessage);
};

describe('an answer without end', () => {
  test('that is an error is read for its code alone', async () => {
    answer = endless(500);
    expect(await sentences('a')).toBe('HttpStatusError: the API answered 500');
    expect(await post('/messages')).toBe('HttpStatusError: the API answered 500');
    // What the sockets on both sides hold has been sent, and no more.
    expect(sent).toBeLessThan(50_000_000);
  });

  test('that is a success is refused at a bound, by a provider and a webhook too', async () => {
    answer = endless(200);
    expect(await sentences('a')).toMatch(/the answer has more than 134217728 bytes/u);
    expect(sent).toBeLessThan(200_000_000);
    sent = 0;
    expect(await post('/messages')).toBe('posted');
    expect(await postToWebhook(`${base}/hook`, {}, new AbortController().signal)).toBe(200);
    expect(sent).toBeLessThan(100_000_000);
  });

  test('is refused before its first byte where it announces one', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-length': String(200e9) });
      response.write('x');
    };
    expect(await sentences('a')).toMatch(/the answer has more than/u);
  });

  test('leaves no byte of it to the next call', async () => {
    answer = endless(503);
    await sentences('a');
    answer = body('{"ticketKey":"b"}');
    expect(await sentences('b')).toBe('{"ticketKey":"b"}');
  });
});

test('after an error of ordinary size the connection is used again', async () => {
  answer = (response) => {
    response.writeHead(422);
    response.end('{"code":"ENCRYPTED_DOCUMENT"}');
  };
  expect(await sentences('a')).toContain('422 ENCRYPTED_DOCUMENT');
  // The pool learns of the end in a turn of its own.
  await delay(100);
  await sentences('b');
  expect(seen[1]?.port).toBe(seen[0]?.port);
});

test('a redirection is not followed', async () => {
  answer = (response) => {
    response.writeHead(302, { location: `${base}/elsewhere` });
    response.end();
  };
  expect(await sentences('a')).toContain('302');
  expect(seen).toHaveLength(1);
});

test('headers that are too large are an error with a code', async () => {
  answer = (response) => {
    response.writeHead(200, { 'x-long': 'x'.repeat(100_000) });
    response.end();
  };
  expect(await sentences('a')).toMatch(/the HTTP call failed \((UND_ERR|HPE)_/u);
});

describe('a key', () => {
  test.each(['.', '..', '', '\ud800', 'a\u0000', 'a\nb', 'a\u007f', 'x'.repeat(9000)])(
    'that would ask another address, or none, asks nothing: %j',
    async (key) => {
      answer = body('{}');
      expect(await sentences(key)).toMatch(/Unacceptable: this key cannot be asked for/u);
      expect(seen).toEqual([]);
    },
  );

  test.each([
    'a/b',
    'a?b',
    'a#b',
    '%2e%2e',
    '%2E',
    '..%2f',
    'a\\b',
    '...',
    '.a',
    'ü',
    '😀',
    'a b',
    "a'b",
    '/',
    '//x',
  ])('of whatever characters is one segment of the path: %j', async (key) => {
    answer = body('{}');
    await sentences(key);
    const [, documents, segment = '', ending, ...more] = seen[0]?.path.split('/') ?? [];
    expect([documents, decodeURIComponent(segment), ending, more]).toEqual([
      'documents',
      key,
      'sentences',
      [],
    ]);
  });
});

test.each(['/messages/..', '/messages/../x', '/a/./b', '/%2e%2e/x', 'messages', '@elsewhere', ''])(
  'a path that would lead elsewhere is not posted to: %j',
  async (path) => {
    answer = body('{}');
    expect(await post(path)).toMatch(/Unacceptable: a path of this API/u);
    expect(seen).toEqual([]);
  },
);

test.each(['', 'a\nb', 'ü', 'x'.repeat(256)])(
  'a key that a header would change is not posted: %j',
  async (key) => {
    answer = body('{}');
    expect(await post('/messages', key)).toMatch(/idempotency key/u);
    expect(seen).toEqual([]);
  },
);

describe('a body', () => {
  const kaese = '{"text":"Käse"}';
  test.each([
    ['utf-8', Buffer.from(kaese)],
    ['UTF-8', Buffer.from(kaese)],
    ['iso-8859-1', Buffer.from(kaese, 'latin1')],
    ['"ISO-8859-1"', Buffer.from(kaese, 'latin1')],
    ['windows-1252', Buffer.from(kaese, 'latin1')],
    ['utf-16le', Buffer.from(kaese, 'utf16le')],
    ['utf-16le', Buffer.from(`\ufeff${kaese}`, 'utf16le')],
    ['utf-8', Buffer.from(`\ufeff${kaese}`)],
  ])('in %s is read in it', async (charset, bytes) => {
    answer = body(bytes, { 'content-type': `application/json; charset=${charset}` });
    expect(await sentences('a')).toBe(kaese);
  });

  test('without a charset is read by its mark', async () => {
    answer = body(Buffer.from(`\ufeff${kaese}`, 'utf16le'));
    expect(await sentences('a')).toBe(kaese);
  });

  test.each([
    ['shift_jis', Buffer.from([0x22, 0x81, 0x22]), /not in the charset shift_jis/u],
    ['us-ascii', Buffer.from(kaese), /not in the charset us-ascii/u],
    ['utf-16le', Buffer.from([0x00, 0xd8, 0x41, 0x00]), /not in the charset utf-16le/u],
    ['utf-7', Buffer.from(kaese), /charset utf-7 .*not known/u],
    ['<script>', Buffer.from(kaese), /charset that its content-type names .*not known/u],
  ])('that is not in %s is refused', async (charset, bytes, told) => {
    answer = body(bytes, { 'content-type': `application/json; charset=${charset}` });
    expect(await sentences('a')).toMatch(told);
  });

  test('that is compressed is refused, and not opened', async () => {
    answer = body(kaese, { 'content-encoding': 'gzip' });
    expect(await sentences('a')).toMatch(/compressed/u);
  });
});

test('a call ends when its time is over, and not before', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    let outcome: unknown = 'open';
    const never = ({ signal }: { readonly signal: AbortSignal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    void boundedCall(new AbortController().signal, never).catch((error: unknown) => (outcome = error));
    await vi.advanceTimersByTimeAsync(29_999);
    expect(outcome).toBe('open');
    await vi.advanceTimersByTimeAsync(1);
    expect(outcome).toMatchObject({ name: 'TimeoutError', message: 'no complete answer within 30 s' });
  } finally {
    vi.useRealTimers();
  }
});
