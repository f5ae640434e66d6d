import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../packages/keystride/src/contract/job.ts';
import {
  instanceKey,
  parameterFaults,
  parseParameters,
} from '../../packages/keystride/src/contract/parameters.ts';
import { resolveRun } from '../../packages/keystride/src/contract/scheduled-job.ts';
import {
  sensitive,
  sensitiveParameters,
  shownParameters,
} from '../../packages/keystride/src/contract/sensitive.ts';
import { parameterInputs } from '../../packages/keystride/src/operator/parameter-inputs.ts';
import { listedJob } from '../../packages/keystride/src/operator/listed-job.ts';

const key = randomBytes(32);

const jobOf = <Shape extends z.ZodRawShape>(shape: Shape, name = 'visits') =>
  defineJob({ name, description: 'for tests', parameters: z.object(shape), steps: {} });

const job = jobOf({ memberId: sensitive(z.string().min(3)), day: z.string().default('today') });

test.each([
  ['by itself', sensitive(z.string())],
  ['optional', sensitive(z.string()).optional()],
  ['with a default', sensitive(z.string()).default('x')],
  ['with other metadata', sensitive(z.string()).meta({ identifying: false }).describe('whose')],
  ['refined afterwards', sensitive(z.string()).refine((text) => text !== '')],
  ['before a transform', sensitive(z.string()).transform((text) => text.length)],
  ['behind a transform', z.string().pipe(sensitive(z.string()))],
  ['in a list', z.array(sensitive(z.string()))],
  ['in an object', z.object({ name: z.object({ first: sensitive(z.string()) }) })],
  ['one of several', z.union([z.int(), sensitive(z.string())])],
])('a mark is seen %s', (_, schema) => {
  expect([...sensitiveParameters(jobOf({ marked: schema, other: z.string() }))]).toEqual(['marked']);
});

describe('a value', () => {
  test('is in nothing that is shown, and tells equal from different', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8 }), fc.string({ minLength: 8 }), (one, other) => {
        const keyOf = (memberId: string) => instanceKey(job, { memberId, day: 'd' }, key);
        expect(keyOf(one)).toMatch(/^visits:memberId=hash:[0-9a-f]{32},day=d$/u);
        expect(keyOf(one)).not.toContain(one);
        expect(JSON.stringify(shownParameters(job, { memberId: one }, key))).not.toContain(one);
        expect(keyOf(one) === keyOf(other)).toBe(one === other);
      }),
    );
  });

  test('has another hash with another key, in another job, and as another parameter', () => {
    const two = jobOf({ memberId: sensitive(z.string()), friendId: sensitive(z.string()) });
    const given = { memberId: 'the same', friendId: 'the same' };
    const hashes = [
      ...Object.values(shownParameters(two, given, key)),
      ...Object.values(shownParameters(two, given, randomBytes(32))),
      ...Object.values(shownParameters(jobOf(two.parameters.shape, 'others'), given, key)),
    ];
    expect(new Set(hashes).size).toBe(6);
  });

  test('is not taken without a key, for what does not identify either', () => {
    const marked = jobOf({ pin: sensitive(z.string()).meta({ identifying: false }) });
    expect(() => instanceKey(marked, { pin: '1234' }, undefined)).toThrow(
      /sensitive parameters \(pin\).*hash=KEY/u,
    );
    expect(instanceKey(marked, {}, key)).toBe('visits');
  });

  test.each([
    [{ memberId: 'x' }, 'memberId: is not what the contract wants'],
    [{ memberId: 1234 }, 'memberId: is not what the contract wants'],
    [{ memberId: 'secret\0' }, 'memberId: is not what the contract wants'],
    [{ memberId: `hash:${'0'.repeat(32)}` }, 'memberId: stands for a value: give the value itself'],
    [{}, 'memberId: is missing'],
  ])('that is wrong is not told: %j', (given, told) => {
    expect(() => parseParameters(job, given)).toThrow(`with these parameters: ${told}. It takes`);
    expect(JSON.stringify(parameterFaults(job, given))).not.toContain('secret');
  });

  test('means what it is in a schedule, braces and all', () => {
    const moment = { scheduledAt: new Date(0), timeZone: 'UTC' };
    const given = { memberId: '{{scheduled}}', day: '{{scheduled}}' };
    const { parameters } = resolveRun(job, { parameters: given }, moment, key);
    expect(parameters).toEqual({ memberId: '{{scheduled}}', day: '1970-01-01' });
  });

  test('that the contract assumes is in no list and no form', () => {
    const assumed = jobOf({ pin: sensitive(z.string()).default('0000') });
    expect(listedJob(assumed).parameters).toMatchObject([{ name: 'pin', sensitive: true }]);
    expect(parameterInputs(assumed)).toMatchObject([{ name: 'pin', sensitive: true, byDefault: null }]);
    expect(JSON.stringify([listedJob(assumed), parameterInputs(assumed)])).not.toContain('0000');
  });
});
