import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExactly } from '../../packages/keystride/src/stores/json/exact-json.ts';

const parse = (text: string | Buffer) => parseExactly(Buffer.from(text));

test.each([
  ['9007199254740993', /more digits/u],
  ['-9007199254740993', /more digits/u],
  ['[1, 0.1000000000000000055]', /more digits/u],
  ['1e400', /more digits/u],
  ['1e-400', /more digits/u],
  ['12345678901234567890', /more digits/u],
  ['{"a":1,"a":2}', /same key twice/u],
  ['{"a":{"b":1,"\\u0062":2}}', /same key twice/u],
  ['{"__proto__":1,"__proto__":2}', /same key twice/u],
  [String.raw`"\ud800"`, /surrogate/u],
  [String.raw`{"\udc00":1}`, /surrogate/u],
  ['['.repeat(600) + ']'.repeat(600), /nested/u],
  ['{"a":', /not JSON/u],
  ['', /not JSON/u],
  [Buffer.from([0x22, 0xc3, 0x28, 0x22]), /not UTF-8/u],
])('%s is refused and not quoted', (text, told) => {
  expect(() => parse(text)).toThrow(told);
});

test.each([
  ['9007199254740991', true],
  ['9007199254740992', true],
  ['[0.1, 0.10, 1e5, 1E+22, -0.5e-7, 100000000000000000000, 1.50000000000000000000]', true],
  ['{"a":"9007199254740993","b":"\\"a\\":1e999"}', true],
  [String.raw`"\ud83d\ude00"`, true],
  [String.raw`{"a\\":1,"b\"":[{"a\\":2}]}`, true],
  [String.raw`"a\u0000b"`, false],
  ['{"$set":1}', false],
  ['{"a.b":1}', false],
  ['{"":1}', false],
  ['{"__proto__":{"a":1}}', false],
  ['['.repeat(100) + ']'.repeat(100), false],
])('%s is read whole, and fits into a document: %s', (text, fitsDocument) => {
  const read = parse(text);
  expect(read.fitsDocument).toBe(fitsDocument);
  expect(JSON.stringify(read.value)).toBe(JSON.stringify(JSON.parse(text)));
});

test('whatever was written by JSON.stringify is read as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false, maxDepth: 6 }), fc.nat(3), (value, indent) => {
      expect(parse(JSON.stringify(value, null, indent)).value).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 500 },
  );
});

test('an integer is kept to its last digit or refused', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), (integer) => {
      const text = String(integer);
      if (BigInt(Number(text)) === integer) return;
      expect(Number(text).toString() === text || refuses(text)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

function refuses(text: string): boolean {
  try {
    parse(text);
    return false;
  } catch {
    return true;
  }
}
