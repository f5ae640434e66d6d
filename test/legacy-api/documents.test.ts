import { expect, test } from 'vitest';
import { firstHalf } from '../../src/stubs/legacy-api/bodies.ts';
import { createDocumentSource, PIECE_BYTES } from '../../src/stubs/legacy-api/documents.ts';
import { parseSizes } from '../../src/stubs/legacy-api/settings.ts';
import { ticketKeys } from './support.ts';

const source = createDocumentSource('seed', [{ bytes: 2048, weight: 1 }]);

function bodyOf(ticketKey: string, bytes?: number, from = source): Buffer {
  return Buffer.concat([...from.pieces(from.plan(ticketKey, bytes))]);
}

test.each([1, 100, 2048, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7, 18 * 2 ** 20])(
  'a document of %i bytes is what its plan says',
  (bytes) => {
    const plan = source.plan('T-0000001', bytes);
    const pieces = [...source.pieces(plan)];
    const body = Buffer.concat(pieces);
    expect(body.length).toBe(plan.contentLength);
    expect(body.length).toBeGreaterThanOrEqual(bytes);
    expect(body.length).toBeLessThan(bytes + 2048);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(PIECE_BYTES);
    const parsed = JSON.parse(body.toString('utf8')) as unknown;
    expect(parsed).toEqual({ ticketKey: 'T-0000001', sentences: source.sentences(plan) });
  },
);

test('every length around the border of a piece comes out whole', () => {
  for (let bytes = PIECE_BYTES - 700; bytes < PIECE_BYTES + 100; bytes += 7) {
    expect(bodyOf('T-0000001', bytes).length).toBe(source.plan('T-0000001', bytes).contentLength);
  }
});

test('the same seed and key give the same document, and no two keys do', () => {
  const again = createDocumentSource('seed', [{ bytes: 2048, weight: 1 }]);
  const other = createDocumentSource('other', [{ bytes: 2048, weight: 1 }]);
  expect(bodyOf('T-0000001')).toEqual(bodyOf('T-0000001', undefined, again));
  expect(bodyOf('T-0000001')).not.toEqual(bodyOf('T-0000001', undefined, other));
  const texts = ticketKeys(200).map((key) =>
    bodyOf(key)
      .subarray(key.length + 16)
      .toString(),
  );
  expect(new Set(texts).size).toBe(200);
});

test('the text holds what JSON escapes and what takes more than one byte', () => {
  const body = bodyOf('key "with" \\ and 한글', 200_000).toString('utf8');
  for (const expected of ['\\"quoted\\"', '\\n', '\\\\', '문서', '🙂']) expect(body).toContain(expected);
});

test('sizes follow the distribution', () => {
  const sizes = parseSizes('1KiB:80,40KiB:19,0.5MiB:1');
  expect(sizes).toEqual([
    { bytes: 1024, weight: 80 },
    { bytes: 40 * 1024, weight: 19 },
    { bytes: 512 * 1024, weight: 1 },
  ]);
  const mixed = createDocumentSource('seed', sizes ?? []);
  const lengths = ticketKeys(5000).map((key) => mixed.plan(key).contentLength);
  const share = (from: number) => lengths.filter((length) => length >= from).length / lengths.length;
  expect(share(512 * 1024)).toBeCloseTo(0.01, 1.9);
  expect(share(40 * 1024)).toBeCloseTo(0.2, 1.3);
});

test.each(['', 'x', '2KiB:', '2KiB:0', '2KiB:-1', '-2KiB', '2KiB:1:1', '2XB', '900MiB', '0B'])(
  'refuses the sizes %j',
  (text) => expect(parseSizes(text)).toBeUndefined(),
);

test('the first half of a body is half of its bytes', () => {
  const plan = source.plan('T-0000001', 300_001);
  const half = Buffer.concat([
    ...firstHalf({ contentLength: plan.contentLength, pieces: source.pieces(plan) }),
  ]);
  const whole = bodyOf('T-0000001', 300_001);
  expect(half).toEqual(whole.subarray(0, Math.floor(whole.length / 2)));
});
