import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { BSON, MongoBulkWriteError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  cutText,
  describeError,
  failure,
  longestMessage,
  ToldError,
} from '../../packages/keystride/src/contract/errors.ts';
import { SkipItem } from '../../packages/keystride/src/job/chunks.ts';
import { framesOf, safeMessage, toFailure } from '../../packages/keystride/src/page/item-errors.ts';
import { fingerprint } from '../../packages/keystride/src/ledger/skips.ts';

const canary = 'canary-9f3';

/** What a database, a driver, a library or the runtime throws, with a row's content wherever it can be. */
const leaking: readonly (readonly [name: string, make: () => unknown, told: RegExp])[] = [
  [
    'RAISE EXCEPTION',
    () => raised('P0001', `order of ${canary} is locked`),
    /P0001.*function lock_order line 3/u,
  ],
  ['RAISE with a code of its own', () => raised('KEY01', canary), /KEY01/u],
  [
    'RAISE that says it is another error',
    () => raised('42P01', `relation "${canary}" does not exist`),
    /42P01/u,
  ],
  ['a syntax error', () => database('42601', `syntax error at or near "${canary}"`), /42601/u],
  ['a program limit', () => database('54000', `row is too big: ${canary}`), /54000/u],
  ['a cardinality violation', () => database('21000', canary), /21000/u],
  ['an internal error', () => database('XX000', `cache lookup failed for ${canary}`), /XX000/u],
  ['an error without a code', () => new pg.DatabaseError(canary, 1, 'error'), /SQLSTATE unknown/u],
  [
    'a name that is put together of a row',
    () =>
      database('42703', `column "${canary}" does not exist`, {
        where: 'PL/pgSQL function f() line 1 at EXECUTE',
      }),
    /42703.*function f line 1/u,
  ],
  [
    'constraint and detail of a RAISE',
    () => raised('23514', canary, { constraint: canary, detail: canary, hint: canary, table: canary }),
    /23514/u,
  ],
  [
    'a duplicate key of MongoDB',
    () => duplicate(),
    /MongoServerError \(code 11000 DuplicateKey, index on email\)/u,
  ],
  ['a bulk write', () => bulk(), /MongoBulkWriteError \(code 2\)/u],
  ['BSON', () => new BSON.BSONError(`key ${canary} must not contain NUL`), /BSONError/u],
  ['an address', () => new MongoServerSelectionError(canary, {} as never), /MongoServerSelectionError/u],
  ['JSON.parse', () => thrownBy(() => JSON.parse(`{"a": ${canary}`)), /SyntaxError/u],
  ['BigInt', () => thrownBy(() => BigInt(canary)), /SyntaxError/u],
  ['a property of nothing', () => thrownBy(() => (null as never)[canary]), /TypeError/u],
  ['an URL', () => thrownBy(() => new URL(`//${canary}`)), /ERR_INVALID_URL/u],
  ['a number format', () => thrownBy(() => (1).toLocaleString(canary.repeat(9))), /RangeError/u],
  ['zod', () => z.enum(['a']).safeParse(canary, { reportInput: true }).error, /ZodError/u],
  [
    'an open file',
    () => Object.assign(new Error(`ENOENT: '${canary}'`), { code: 'ENOENT', syscall: 'open', path: canary }),
    /open ENOENT/u,
  ],
  ['undici', () => Object.assign(new Error(canary), { code: 'UND_ERR_INVALID_ARG' }), /UND_ERR_INVALID_ARG/u],
  ['a name', () => Object.assign(new TypeError('x'), { name: `${canary}\n"` }), /Error/u],
  ['what is no Error', () => ({ message: canary }), /not an Error/u],
  ['a text', () => canary, /not an Error/u],
  ['causes', () => new Error('outside', { cause: duplicate() }), /outside: MongoServerError/u],
  [
    'several',
    () => new AggregateError([raised('P0001', canary), new TypeError(canary)]),
    /P0001.*TypeError/u,
  ],
  [
    'a failure made of an error',
    () => ApplicationFailure.fromError(thrownBy(() => (null as never)[canary])),
    /ApplicationFailure/u,
  ],
];

describe.each(leaking)('of %s', (_, make, told) => {
  test('only what it is and where it comes from is told', () => {
    expect(safeMessage(make())).toMatch(told);
    expect(safeMessage(make())).not.toContain(canary);
  });

  test('neither the frames nor the failure that Temporal keeps hold what it says', () => {
    const error = make();
    expect(framesOf(error)).not.toContain(canary);
    for (const failed of [
      toFailure(error, { decision: 'fail', code: 'X' }, 'job step copy'),
      toFailure(failure('StepFailed', 'told', { cause: error }), { decision: 'fail', code: 'X' }, 'there'),
    ]) {
      expect(`${failed.message} ${failed.stack} ${String(failed.cause)}`).not.toContain(canary);
      expect(failed.cause).toBeUndefined();
    }
  });
});

test('lines of a message that look like frames are none', () => {
  const error = new Error(`no\n    at ${canary} (/app/job.ts:1:1)`);
  expect(framesOf(error)).not.toContain(canary);
  expect(framesOf(error)).toContain('safe-message.test.ts');
});

describe('what is told', () => {
  class InvoiceUnpaid extends Error {
    override readonly name = 'InvoiceUnpaid';
  }

  test.each([
    [new SkipItem('ODD', 'it is odd'), 'it is odd'],
    [new ToldError('for you'), 'for you'],
    [new InvoiceUnpaid('it is due since Monday'), 'InvoiceUnpaid: it is due since Monday'],
    [new Error('the totals differ'), 'the totals differ'],
    [failure('UnknownJob', 'there is no such job'), 'there is no such job'],
    [
      database('42P01', 'relation "orders" does not exist'),
      'relation "orders" does not exist (SQLSTATE 42P01)',
    ],
    [
      database('42501', 'permission denied for table orders'),
      'permission denied for table orders (SQLSTATE 42501)',
    ],
    [database('40P01', 'deadlock detected'), 'deadlock detected (SQLSTATE 40P01)'],
    [new Error('Connection terminated unexpectedly'), 'Connection terminated'],
    [
      Object.assign(new Error('x'), {
        code: 'ECONNREFUSED',
        syscall: 'connect',
        address: '127.0.0.1',
        port: 5432,
      }),
      'connect ECONNREFUSED 127.0.0.1:5432',
    ],
  ])('%s', (error, told) => {
    expect(safeMessage(error)).toBe(told);
  });

  test('two causes have two fingerprints, and two rows of one cause have one', () => {
    const of = (error: unknown) => fingerprint({ code: 'X', message: safeMessage(error) });
    expect(of(raised('P0001', 'row 1'))).toBe(of(raised('P0001', 'the second')));
    expect(of(database('23505', 'x', { constraint: 'a_key' }))).not.toBe(
      of(database('23505', 'x', { constraint: 'b_key' })),
    );
  });
});

describe('what the code of a job says', () => {
  const item = {
    id: 'K-1234',
    name: 'Ann "the canary" Smith',
    born: new Date(0),
    amounts: [{ of: 123_456.5 }],
    n: 7,
  };
  const about = { items: [item], key: item.id };

  test.each([
    [new Error(`K-1234 is odd: ${item.name}`), 'K-1234 is odd: …'],
    [new Error(`K-1234 of step 7: ${JSON.stringify(item.amounts)}`), 'K-1234 of step 7: [{"of":…}]'],
    [
      new Error(`in ${JSON.stringify(item)}`),
      'in {"id":"K-1234","name":"…","born":"…","amounts":[{"of":…}],"n":7}',
    ],
    [new SkipItem('ODD', `for ${item.name}`), `for ${item.name}`],
  ])('holds nothing of its item but the key, unless it was written to be shown: %s', (error, told) => {
    expect(safeMessage(error, about)).toBe(told);
  });
});

describe('a message that is too long', () => {
  test('keeps its beginning and its end, cut between characters, and says so', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 400 }),
        (unit, times) => {
          const text = `where ${unit.repeat(times)} why`;
          const cut = cutText(text);
          expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(longestMessage);
          if (Buffer.byteLength(text) <= longestMessage) return;
          expect(cut).toMatch(/^where /u);
          expect(cut).toMatch(/ why$/u);
          expect(cut).toContain(`(${Buffer.byteLength(text)} bytes, cut here)`);
          if (text.isWellFormed()) expect(cut.isWellFormed()).toBe(true);
        },
      ),
    );
  });

  test('never reaches Temporal, whoever has written it', () => {
    const megabytes = 'x'.repeat(5_000_000);
    const long = [
      failure('ItemFailed', `where ${megabytes} why`),
      toFailure(new Error(`${megabytes} why`), { decision: 'fail', code: 'X' }, 'where'),
      toFailure(
        ApplicationFailure.create({ message: `where ${megabytes} why` }),
        { decision: 'fail', code: 'X' },
        '',
      ),
    ];
    for (const { message, stack } of long) {
      expect(message).toMatch(/^where.*why( \[X\])?$/u);
      expect(message.length + (stack?.length ?? 0)).toBeLessThan(10_000);
    }
    expect(describeError(new Error(megabytes)).length).toBeLessThanOrEqual(longestMessage);
  });
});

function database(code: string, message: string, fields: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code, ...fields });
}

function raised(code: string, message: string, fields: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  const where = `PL/pgSQL function lock_order() line 3 at RAISE\nSQL statement "SELECT '${canary}'"`;
  return database(code, message, { where, internalQuery: canary, ...fields });
}

function duplicate(): MongoServerError {
  return new MongoServerError({
    message: `E11000 duplicate key error { email: "${canary}" }`,
    ...{ code: 11000, codeName: 'DuplicateKey', keyPattern: { email: 1 }, keyValue: { email: canary } },
  });
}

function bulk(): MongoBulkWriteError {
  const error = new MongoBulkWriteError(
    { message: `invalid value: { "tree": "${canary}" }`, code: 2 },
    {} as never,
  );
  error.code = 2;
  return error;
}

function thrownBy(mistake: () => unknown): unknown {
  try {
    mistake();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
