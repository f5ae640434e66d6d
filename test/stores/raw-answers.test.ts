import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { classifyWith, safeMessage } from '../../packages/keystride/src/page/item-errors.ts';
import { IdempotentApi } from '../../packages/keystride/src/stores/http/idempotent-api.ts';
import { LegacyApi } from '../../src/stores/legacy-api.ts';

/** Answers byte by byte, as no server of Node would send them. */
let server: Server;
let sockets: Socket[];
let requests: number;
/** What a request is answered with, by its number on its connection. */
let answer: (socket: Socket, nth: number) => void;
let api: LegacyApi;
let provider: IdempotentApi;

beforeEach(async () => {
  requests = 0;
  sockets = [];
  server = createServer((socket) => {
    let nth = 0;
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      if (!/^(GET|POST) /u.test(bytes.toString('latin1'))) return;
      requests++;
      answer(socket, nth++);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = new LegacyApi(base);
  provider = new IdempotentApi(base, 'the provider');
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await Promise.allSettled([api.close(), provider.close()]);
});

const { signal } = new AbortController();
const turn = { signal, waiting: signal, attempt: 1, reserve: () => Promise.resolve() };

/** The body, or the error in words and what becomes of it: a page that is away is tried again for as long as it takes. */
const told = (error: unknown) => {
  const { decision, code, unavailable } = classifyWith([])(error);
  return `${decision}${unavailable ? ' (away)' : ''} ${code}: ${safeMessage(error)}`;
};
const get = () => api.sentences('a', turn).then(String, told);
const post = () =>
  provider.post({ ...turn, path: '/messages', idempotencyKey: 'k', body: {} }).then(() => 'posted', told);

const json = '{"ticketKey":"a","sentences":[]}';
const chunk = `${json.length.toString(16)}\r\n${json}\r\n`;
const head = (headers: string, status = '200 OK') =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${headers}\r\n`;
const sized = (body: Buffer | string, headers = '', status?: string) =>
  Buffer.concat([
    Buffer.from(head(`content-length: ${Buffer.byteLength(body)}\r\n${headers}`, status)),
    Buffer.from(body),
  ]);
const chunked = 'transfer-encoding: chunked\r\n';
const zipped = gzipSync(json);
const garbled = /^retry MALFORMED_ANSWER: the answer breaks the rules of HTTP$/u;
const broken = /^retry MALFORMED_BODY: MalformedBody: the answer broke off after 32 of/u;

describe('an answer', () => {
  test.each<[string, Buffer | string]>([
    ['of a size', sized(json)],
    ['in chunks', `${head(chunked)}${chunk}0\r\n\r\n`],
    ['in chunks, with a trailer', `${head(`${chunked}trailer: x-sum\r\n`)}${chunk}0\r\nx-sum: 1\r\n\r\n`],
    ['that ends with its connection', head('connection: close\r\n') + json],
    ['of HTTP/1.0', `HTTP/1.0 200 OK\r\n\r\n${json}`],
    [
      'after hints',
      `HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n${sized(json).toString()}`,
    ],
    ['with more behind it', Buffer.concat([sized(json), Buffer.from(' and more')])],
  ])('%s is read whole', async (_, bytes) => {
    answer = (socket) => socket.end(bytes);
    expect(await get()).toBe(json);
  });

  test.each<[string, Buffer | string, RegExp]>([
    ['shorter than its size', head('content-length: 100\r\n') + json, broken],
    ['cut between two chunks', head(chunked) + chunk, broken],
    ['cut within a chunk', `${head(chunked)}ff\r\n${json}`, broken],
    ['of two sizes', head('content-length: 32\r\ncontent-length: 10\r\n') + json, garbled],
    ['of a size and in chunks', `${head(`content-length: 5\r\n${chunked}`)}${chunk}0\r\n\r\n`, garbled],
    ['of a size below zero', head('content-length: -5\r\n') + json, garbled],
    ['of a size that is no number', head('content-length: 1e1\r\n') + json, garbled],
    ['with a chunk of no size', `${head(chunked)}zz\r\n${json}\r\n0\r\n\r\n`, garbled],
    ['that is no HTTP', json, garbled],
    ['cut within its headers', 'HTTP/1.1 200 OK\r\ncontent-le', /^retry \(away\) UND_ERR_SOCKET: /u],
    ['that changes the protocol', head('upgrade: x\r\nconnection: upgrade\r\n', '101 X'), /^retry \(away\)/u],
    ['that is compressed', sized(zipped, 'content-encoding: gzip\r\n'), /the answer is compressed/u],
    ['that is half of that', sized(zipped.subarray(0, 30), 'content-encoding: GZIP\r\n'), /is compressed/u],
    ['that says it twice', sized(zipped, 'content-encoding: gzip, gzip\r\n'), /is compressed/u],
    ['that says it falsely', sized(json, 'content-encoding: gzip\r\n'), /is compressed/u],
    [
      'that is a part',
      sized(json, 'content-range: bytes 0-31/100\r\n', '206 Partial Content'),
      /answered 206/u,
    ],
    ['without content', head('', '204 No Content'), /answered 204/u],
    ['that has not changed', head('', '304 Not Modified'), /answered 304/u],
    ['from elsewhere', head('location: /b\r\ncontent-length: 0\r\n', '307 X'), /answered 307/u],
  ])('%s is an error by name', async (_, bytes, expected) => {
    answer = (socket) => socket.end(bytes);
    expect(await get()).toMatch(expected);
    expect(requests).toBe(1);
  });

  test('that nobody has asked for is not taken for the next one', async () => {
    const other = json.replace('[]', '[{"no":1,"text":"another"}]');
    answer = (socket, nth) =>
      socket.write(nth === 0 ? Buffer.concat([sized(json), sized(other)]) : sized(json));
    expect([await get(), await get()]).toEqual([json, json]);
  });
});

describe.each([
  ['closed', (socket: Socket) => socket.destroy()],
  ['reset', (socket: Socket) => socket.resetAndDestroy()],
])('a connection that is %s when it is used again', (_, end) => {
  test.each([
    ['got', () => get()],
    ['posted', () => post()],
  ])('is an error, and nothing is %s twice', async (_name, call) => {
    answer = (socket, nth) => (nth === 0 ? socket.write(sized(json)) : end(socket));
    await call();
    // The pool learns of the end in a turn of its own.
    await delay(100);
    expect(await call()).toMatch(/^retry \(away\) (UND_ERR_SOCKET|CONNECTION_LOST): /u);
    expect(sockets).toHaveLength(1);
    expect(requests).toBe(2);
  });
});
