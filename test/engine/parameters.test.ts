import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { failureTypeOf } from '../../packages/keystride/src/contract/errors.ts';
import { defineJob } from '../../packages/keystride/src/contract/job.ts';
import {
  identifyingParameters,
  instanceKey,
  parametersFromText,
  parseParameters,
} from '../../packages/keystride/src/contract/parameters.ts';
import { chunkStep } from '../../packages/keystride/src/contract/policy.ts';

const job = defineJob({
  name: 'settlement',
  description: 'for tests',
  parameters: z.object({
    day: z.iso.date(),
    region: z.string().optional(),
    note: z.string().default('none'),
    run: z.int().min(1).default(1),
    dryRun: z.boolean().default(false),
    shops: z.array(z.string()).default([]),
    speed: z.number().default(5).meta({ identifying: false }),
    comment: z.string().optional().meta({ identifying: false }),
  }),
  steps: { settle: chunkStep() },
});

const twoTexts = defineJob({
  name: 'two',
  description: 'for tests',
  parameters: z.object({ a: z.string().optional(), b: z.string().optional() }),
  steps: {},
});

test('a parameter that nobody gave is missing, one of the wrong type is told in the words of its schema', () => {
  expect(() => parseParameters(job, {})).toThrow('day: is missing');
  expect(() => parseParameters(job, { day: 1 })).toThrow(
    'day: Invalid input: expected string, received number',
  );
});

test.each([
  ['a,b', ['a', 'b']],
  ['', []],
  ['a,,b', ['a', '', 'b']],
  ['a:numeric(10,2),b:date', ['a:numeric(10,2)', 'b:date']],
  ['"a:fixed:Smith, John",b:hash', ['a:fixed:Smith, John', 'b:hash']],
  ['"a,b":c,d:"e,f"', ['"a,b":c', 'd:"e,f"']],
  ['"say ""hi"", you"', ['say "hi", you']],
  ['a:fixed:5" tall,b', ['a:fixed:5" tall', 'b']],
  ['a:fixed:(x,b', ['a:fixed:(x', 'b']],
  ['["a,b", "c\\"d"]', ['a,b', 'c"d']],
  ['[a],b', ['[a]', 'b']],
  ['a b,price.eur,50%', ['a b', 'price.eur', '50%']],
])('a list is written as %s', (text, shops) => {
  expect(parametersFromText(job, [`shops=${text}`])).toEqual({ shops });
});

test('any list can be written as JSON', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (shops) => {
      expect(parametersFromText(job, [`shops=${JSON.stringify(shops)}`])).toEqual({ shops });
    }),
  );
});

test('an element that is wrong is told as it was written', () => {
  const pairs = defineJob({
    name: 'pairs',
    description: 'for tests',
    parameters: z.object({ cast: z.array(z.string().regex(/:/u, 'column:value is wanted')) }),
    steps: {},
  });
  expect(() => parseParameters(pairs, { cast: ['a:b', '2)'] })).toThrow('cast "2)": column:value is wanted');
});

describe('the key of an instance', () => {
  test('names the job and its identifying parameters, in the order of the contract', () => {
    const parameters = parseParameters(job, { shops: ['a'], day: '2025-10-01' });
    expect(instanceKey(job, parameters, undefined)).toBe(
      'settlement:day=2025-10-01,note=none,run=1,dryRun=false,shops=["a"]',
    );
    expect(identifyingParameters(job)).toEqual(['day', 'region', 'note', 'run', 'dryRun', 'shops']);
  });

  test('does not depend on what is not identifying, nor on the order of writing', () => {
    const one = parseParameters(job, { day: '2025-10-01', run: 2, speed: 1, comment: 'x' });
    const two = parseParameters(job, { run: 2, day: '2025-10-01', speed: 9 });
    expect(instanceKey(job, one, undefined)).toBe(instanceKey(job, two, undefined));
  });

  test('minds where it is said that a parameter does not identify: before or after its default', () => {
    const parameters = z.object({
      before: z.number().meta({ identifying: false }).default(1),
      after: z.number().default(1).meta({ identifying: false }),
    });
    expect(identifyingParameters(defineJob({ name: 'x', description: 'x', parameters, steps: {} }))).toEqual(
      [],
    );
  });

  test('is the name alone where nothing identifies', () => {
    expect(instanceKey(twoTexts, {}, undefined)).toBe('two');
  });

  test('differs where a parameter differs, whatever characters its values hold', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[ab=,:%/ 0-9A-F]{0,12}$/),
      fc.constant('ü'.repeat(300)),
    );
    const parameters = fc.record({ a: text, b: text }, { requiredKeys: [] });
    fc.assert(
      fc.property(parameters, parameters, (one, two) => {
        const same = one.a === two.a && one.b === two.b;
        expect(instanceKey(twoTexts, one, undefined) === instanceKey(twoTexts, two, undefined)).toBe(same);
      }),
      { numRuns: 500 },
    );
  });

  test('fits a workflow id, which may have 1,000 bytes, with room for the ids of children', () => {
    const text = fc.string({ unit: 'binary', maxLength: 2000 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const key = instanceKey(twoTexts, { a, b }, undefined);
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(900);
        expect(key).not.toMatch(/[\s/]/u);
      }),
    );
  });
});

describe('parameters that cannot be', () => {
  test.each([
    ['missing', {}, /day/],
    ['of the wrong type', { day: '2025-10-01', run: 'two' }, /run: .*number/i],
    ['not a date', { day: 'yesterday' }, /day: .*date/i],
    ['unknown', { day: '2025-10-01', dya: 1 }, /dya/],
    ['not an object', 'text', /object/i],
  ])('are refused when %s, by name', (_what, input, message) => {
    const refused = refusalOf(input);
    expect(failureTypeOf(refused)).toBe('JobParametersInvalid');
    expect(refused.message).toMatch(message);
    expect(refused.message).toMatch(/settlement .*It takes: day, region.*Nothing was written/);
  });

  test('are all named at once', () => {
    const { message } = refusalOf({ day: 'x', run: 0, dryRun: 1, extra: true });
    for (const name of ['day', 'run', 'dryRun', 'extra']) expect(message).toContain(name);
  });

  test('do not have their values repeated', () => {
    expect(refusalOf({ day: 'hidden-word' }).message).not.toContain('hidden-word');
  });
});

describe('words of the command line', () => {
  test('are read as what the contract says', () => {
    const words = [
      'day=2025-10-01',
      'run=3',
      'dryRun=true',
      'shops=a,b',
      'region=a=b',
      'speed=1.5',
      'comment=',
    ];
    expect(parametersFromText(job, words)).toEqual({
      day: '2025-10-01',
      run: 3,
      dryRun: true,
      shops: ['a', 'b'],
      region: 'a=b',
      speed: 1.5,
      comment: '',
    });
  });

  test.each(['run=three', 'run=', 'run= ', 'dryRun=yes', 'run=Infinity'])(
    '%s is left for the contract to refuse',
    (word) => {
      expect(() => parseParameters(job, parametersFromText(job, ['day=2025-10-01', word]))).toThrow(
        word.split('=')[0],
      );
    },
  );

  test.each(['run', '=3', ''])('"%s" is no parameter', (word) => {
    expect(() => parametersFromText(job, [word])).toThrow(/--param name=value/);
  });

  test('a number in a text parameter stays text', () => {
    expect(parametersFromText(job, ['region=007'])).toEqual({ region: '007' });
  });
});

function refusalOf(input: unknown): Error {
  try {
    parseParameters(job, input);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  return expect.fail('must be refused');
}

describe('what no database keeps as it is', () => {
  const kept = defineJob({
    name: 'kept',
    description: '',
    parameters: z.object({
      name: z.string().default(''),
      share: z.number().default(1),
      list: z.array(z.string()).default([]),
      more: z.unknown().optional(),
    }),
    steps: {},
  });
  test.each([
    [{ name: 'a\0b' }, /name: holds a zero character/u],
    [{ name: '\ud83d' }, /name: holds half of a surrogate pair/u],
    [{ list: ['fine', 'a\0'] }, /list\.1: holds a zero character/u],
    [{ more: { deep: ['\udc00'] } }, /more\.deep\.0: holds half/u],
    [{ more: { ['\0']: 1 } }, /more: one of its names holds a zero character/u],
    [JSON.parse('{"share":9007199254740993}') as object, /share: is beyond 2\^53/u],
    [JSON.parse('{"more":[1,1e400]}') as object, /more\.1: is beyond 2\^53/u],
    [{ name: '\0', share: 1e300 }, /name: .*share: /u],
  ])('is refused by name, without the value: %j', (input, message) => {
    expect(() => parseParameters(kept, input)).toThrow(message);
    expect(() => parseParameters(kept, input)).not.toThrow(/\0|9007199254740992/u);
  });

  test('is taken where it is whole', () => {
    for (const input of [{ name: '\u{1f600}\u001b' }, { share: -0 }, { share: 0.1 }, { share: 2 ** 53 - 1 }])
      expect(parseParameters(kept, input)).toMatchObject(input);
  });

  test.each([
    ['9007199254740993', /share: is beyond 2\^53/u],
    ['1e400', /share: /u],
    ['0x10', /share: /u],
    ['NaN', /share: /u],
  ])('is refused as text, too: share=%s', (text, message) => {
    expect(() => parseParameters(kept, parametersFromText(kept, [`share=${text}`]))).toThrow(message);
  });

  test('a failure can be sent to Temporal whatever a name holds', () => {
    expect(() => parseParameters(kept, { '\ud800': 1 })).toThrow(/^[^\ud800-\udfff]*$/u);
  });
});
