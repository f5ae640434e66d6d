import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { classifyWith, safeMessage } from '../../packages/keystride/src/page/item-errors.ts';
import { parseExactly } from '../../packages/keystride/src/stores/json/exact-json.ts';
import { HttpStatusError } from '../../packages/keystride/src/stores/http/errors.ts';
import {
  type ApiPage,
  pagedReader,
  PagesMoved,
} from '../../packages/keystride/src/stores/http/paged-reader.ts';
import { readAll, readRange } from './reading.ts';

interface Order {
  id: string | null;
}

const signal = new AbortController().signal;
const open = { lower: null, upper: null };
/** The pages that the API serves, by token; the first one has the token ''. */
let pages: Record<string, ApiPage<Order>> = {};
let calls: string[] = [];
/** What is answered instead of a page, if anything. */
let raw: { status?: number; headers?: Record<string, string>; body?: string | Buffer } | undefined;
let server: Server;
let base: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const token = new URL(request.url ?? '', 'http://127.0.0.1').searchParams.get('token') ?? '';
    calls.push(token);
    if (raw) return response.writeHead(raw.status ?? 200, raw.headers).end(raw.body);
    const page = pages[token];
    return response.writeHead(page ? 200 : 503).end(JSON.stringify(page ?? {}));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(() => (raw = undefined));

afterAll(() => server.close());

/** A reader as the page on readers writes it. */
const reader = () =>
  pagedReader<Order>({
    page: async (token, context) => {
      const address = `${base}?token=${encodeURIComponent(token ?? '')}`;
      const response = await fetch(address, { signal: context.signal, redirect: 'error' });
      if (response.status !== 200) throw new HttpStatusError(response.status);
      const { value } = parseExactly(Buffer.from(await response.arrayBuffer()));
      return value as ApiPage<Order>;
    },
    keyOf: ({ id }) => {
      if (id === null) throw new TypeError('an order without an id');
      return id;
    },
  });

/** Serves items in pages of these sizes; empty pages may stand between. */
function serve(sizes: readonly number[]): string[] {
  calls = [];
  let next = 0;
  const all = sizes.map((size) => Array.from({ length: size }, () => ({ id: `order-${next++}` })));
  pages = Object.fromEntries(
    all.map((items, index) => [
      index === 0 ? '' : `t${index}`,
      { items, next: index + 1 < all.length ? `t${index + 1}` : null },
    ]),
  );
  return all.flat().map(({ id }) => id);
}

test('any pages, read by any number: each item once, in order, from any cursor', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 7 }),
      fc.nat(),
      async (sizes, limit, choice) => {
        const expected = serve(sizes);
        const found = await readAll(reader, limit, 3);
        expect(found.map(({ item }) => item.id)).toEqual(expected);
        expect(found.map(({ key }) => key)).toEqual(expected);
        const from = choice % Math.max(1, found.length);
        const rest = await readRange(reader(), open, limit, found[from]?.cursor ?? null);
        expect(rest.map(({ key }) => key)).toEqual(found.length === 0 ? [] : expected.slice(from + 1));
      },
    ),
    { numRuns: 40 },
  );
});

describe('a page', () => {
  test('is fetched once, however few of its items are asked for at a time', async () => {
    serve([100, 100, 30]);
    expect(await readRange(reader(), open, 7)).toHaveLength(230);
    expect(calls).toEqual(['', 't1', 't2']);
  });

  test('is all that a restart fetches again', async () => {
    serve([10, 10, 10, 10]);
    const all = await readRange(reader(), open, 100);
    calls = [];
    const rest = await readRange(reader(), open, 100, all[24]?.cursor ?? null);
    expect(rest).toHaveLength(15);
    expect(calls).toEqual(['t2', 't3']);
  });

  test('that fails is the failure of the read, as the API told it', async () => {
    serve([2, 2]);
    delete pages['t1'];
    await expect(readRange(reader(), open, 10)).rejects.toThrow(HttpStatusError);
  });

  test.each([1, 2, 3])(
    'that leads back to itself over %i pages does not go round for ever',
    async (count) => {
      const next = (index: number) => ({ items: [], next: String((index + 1) % count) });
      pages = { '': { items: [], next: '0' } };
      for (let index = 0; index < count; index++) pages[String(index)] = next(index);
      await expect(readRange(reader(), open, 10)).rejects.toThrow(PagesMoved);
    },
  );
});

test.for([
  ['no list', { items: null, next: null }, /the page of token t1 has no list of items/u],
  ['nothing', {}, /the page of token t1 has no list of items/u],
  ['a list, as text', { items: 'order-2', next: null }, /has no list of items/u],
  ['a next page that is an object', { items: [], next: { token: 't2' } }, /neither a text nor a number/u],
  ['a next page that is true', { items: [], next: true }, /neither a text nor a number/u],
  ['no next page, and not of none either', { items: [] }, /t1 does not say which one is next/u],
  ['a next page of another name', { items: [], nextToken: 't2' }, /t1 does not say which one is next/u],
] as const)('a page of %s is not the last one', async ([, page, message]) => {
  serve([2, 2, 2]);
  pages['t1'] = page as unknown as ApiPage<Order>;
  await expect(readRange(reader(), open, 10)).rejects.toThrow(message);
});

test.each([0, 7])('a next page that has the number %i for its name is read', async (number) => {
  pages = { '': { items: [{ id: 'first' }], next: number as unknown as string } };
  pages[String(number)] = { items: [{ id: 'last' }], next: null };
  expect((await readAll(reader, 10)).map(({ key }) => key)).toEqual(['first', 'last']);
});

test('a page whose next one is empty is the last one', async () => {
  pages = { '': { items: [{ id: 'only' }], next: '' } };
  expect((await readAll(reader, 10)).map(({ key }) => key)).toEqual(['only']);
});

test('what the API counts is held against what is read, and must be a count', async () => {
  const counting = (count: unknown) =>
    pagedReader<Order>({
      page: () => Promise.resolve({ items: [], next: null }),
      keyOf: () => '',
      count: () => Promise.resolve(count as number),
    }).plan({ partitions: 1, signal });
  expect(await counting(3)).toMatchObject({ expected: 3, counted: true });
  for (const count of [NaN, -1, 1.5, '3', Infinity])
    await expect(counting(count)).rejects.toThrow(/no number/u);
});

test('an item that moved in its page is found again; one that is gone is not guessed at', async () => {
  const ids = serve([6]);
  const all = await readRange(reader(), open, 10);
  const moved = pages[''] as ApiPage<Order>;
  pages[''] = { ...moved, items: moved.items.slice(2) };
  const rest = await readRange(reader(), open, 10, all[3]?.cursor ?? null);
  expect(rest.map(({ key }) => key)).toEqual(ids.slice(4));
  await expect(readRange(reader(), open, 10, all[1]?.cursor ?? null)).rejects.toThrow(
    /order-1 is no longer in its page \(token none\)/,
  );
});

test.for([
  ['in one page', ['order-1', 'order-1'], ['order-2']],
  ['in a page and the one before it', ['order-1', 'order-2'], ['order-2', 'order-3']],
])(
  'an item that is there twice %s: the pages have moved, and one may be left out',
  async ([, first, second]) => {
    const items = (ids: readonly string[]) => ids.map((id) => ({ id }));
    pages = {
      '': { items: items(first as string[]), next: 't1' },
      t1: { items: items(second as string[]), next: null },
    };
    await expect(readAll(reader, 10, 3)).rejects.toThrow(PagesMoved);
  },
);

test('an item without a key is the read error of that item alone', async () => {
  serve([2, 2]);
  pages['t1'] = { items: [{ id: null }, { id: 'last' }], next: null };
  const found = await readAll(reader, 3);
  expect(found.map(({ key, error }) => [key, error instanceof TypeError])).toEqual([
    ['order-0', false],
    ['order-1', false],
    ['t1#0', true],
    ['last', false],
  ]);
});

test('items are read again by their cursors', async () => {
  serve([3, 3]);
  const all = await readRange(reader(), open, 10);
  const keys = [all[4], all[0]].map((read) => read?.cursor ?? ([] as never));
  pages['t1'] = { items: [{ id: 'other' }], next: null };
  const again = await reader().readKeys?.({ keys, signal });
  expect(again).toEqual([undefined, { item: { id: 'order-0' } }]);
});

const page = '{"items":[{"id":"Käse"}],"next":null}';
const zipped = gzipSync(page);
const gzip = { 'content-encoding': 'gzip' };

test.each([
  ['in UTF-8 with its mark', { body: `\ufeff${page}` }],
  ['compressed', { body: zipped, headers: gzip }],
  [
    'compressed in two parts',
    { body: Buffer.concat([gzipSync(page.slice(0, 9)), gzipSync(page.slice(9))]), headers: gzip },
  ],
  ['compressed twice', { body: gzipSync(zipped), headers: { 'content-encoding': 'gzip, gzip' } }],
])('an answer that is %s is read', async (_, answer) => {
  raw = answer;
  expect((await readAll(reader, 10)).map(({ key }) => key)).toEqual(['Käse']);
});

test.each([
  [
    'has a key twice',
    { body: '{"items":[],"items":[{"id":"a"}],"next":null}' },
    /fail UNACCEPTABLE.*same key twice/u,
  ],
  [
    'has a next page twice',
    { body: '{"items":[],"next":"t1","next":null}' },
    /fail UNACCEPTABLE.*same key twice/u,
  ],
  [
    'has an id of too many digits',
    { body: '{"items":[{"id":9007199254740993}]}' },
    /fail UNACCEPTABLE.*more digits/u,
  ],
  ['is not in UTF-8', { body: Buffer.from(page, 'latin1') }, /retry MALFORMED_BODY.*not UTF-8/u],
  ['is cut', { body: page.slice(0, -1) }, /retry MALFORMED_BODY.*not JSON/u],
  [
    'is cut and compressed',
    { body: zipped.subarray(0, -12), headers: gzip },
    /retry MALFORMED_BODY.*not JSON/u,
  ],
  ['is a part', { status: 206, body: page }, /fail HTTP_206/u],
  ['has no content', { status: 204 }, /fail HTTP_204/u],
  ['leads elsewhere', { status: 302, headers: { location: '/?token=t1' } }, /fail TypeError: fetch failed/u],
])('an answer that %s is an error by name', async (_, answer, told) => {
  serve([1, 1]);
  raw = answer;
  const outcome = await readAll(reader, 10).catch((error: unknown) => {
    const { decision, code } = classifyWith([])(error);
    return `${decision} ${code}: ${safeMessage(error)}`;
  });
  expect(outcome).toMatch(told);
});

test('a token of any signs is the one that the API gave', async () => {
  pages = {
    '': { items: [{ id: 'first' }], next: 'a+b&c=%20ü#' },
    'a+b&c=%20ü#': { items: [{ id: 'last' }], next: null },
  };
  expect((await readAll(reader, 10)).map(({ key }) => key)).toEqual(['first', 'last']);
});
