import { MongoNetworkError, MongoServerError } from 'mongodb';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { describeError, failure, failureTypeOf } from '../../packages/keystride/src/contract/errors.ts';
import { SkipItem } from '../../packages/keystride/src/job/chunks.ts';
import { classifyWith, safeMessage, toFailure } from '../../packages/keystride/src/page/item-errors.ts';
import { fingerprint } from '../../packages/keystride/src/ledger/skips.ts';
import { backoff } from '../../packages/keystride/src/page/process-item.ts';
import {
  classifyHttp,
  HttpStatusError,
  MalformedBody,
  retryAfter,
} from '../../packages/keystride/src/stores/http/errors.ts';
import { classifyMongo } from '../../packages/keystride/src/stores/mongo/errors.ts';
import { classifyPostgres } from '../../packages/keystride/src/stores/postgres/errors.ts';

describe('PostgreSQL', () => {
  test.each(['40001', '40P01', '55P03', '57014'])(
    '%s is tried again, and the server is not away',
    (state) => {
      expect(classifyPostgres(databaseError(state))).toMatchObject({
        decision: 'retry',
        code: `SQLSTATE_${state}`,
        unavailable: false,
      });
    },
  );

  test.each(['28P01', '53100', '53300', '25006', '57P01', '57P03', '08006'])(
    '%s is tried again, and the server is away',
    (state) => {
      expect(classifyPostgres(databaseError(state))).toMatchObject({ decision: 'retry', unavailable: true });
    },
  );

  test.each(['23505', '22P02', '42P01', '42501'])('%s fails', (state) => {
    expect(classifyPostgres(databaseError(state))).toMatchObject({
      decision: 'fail',
      code: `SQLSTATE_${state}`,
    });
  });

  test.each([
    Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }),
    new Error('Connection terminated unexpectedly'),
    new Error('timeout exceeded when trying to connect'),
  ])('a lost connection is tried again: %s', (error) => {
    expect(classifyPostgres(error)).toMatchObject({
      decision: 'retry',
      code: 'CONNECTION_LOST',
      unavailable: true,
    });
  });

  test('leaves to others what is not its own', () => {
    expect(classifyPostgres(new Error('something else'))).toBeUndefined();
    expect(classifyPostgres('text')).toBeUndefined();
  });
});

describe('HTTP', () => {
  test.each([408, 500, 502, 504])('%i is tried again', (status) => {
    expect(classifyHttp(new HttpStatusError(status))).toMatchObject({
      decision: 'retry',
      code: `HTTP_${status}`,
    });
  });

  test.each([400, 401, 404, 410, 422])('%i fails, unless the job knows better', (status) => {
    expect(classifyHttp(new HttpStatusError(status))).toEqual({ decision: 'fail', code: `HTTP_${status}` });
  });

  test('429, and 503 that says when to come back, use up no retry', () => {
    expect(classifyHttp(new HttpStatusError(429))).toMatchObject({ decision: 'retry', busy: true });
    expect(classifyHttp(new HttpStatusError(503, { retryAfterMs: 5 }))).toMatchObject({
      busy: true,
      retryAfterMs: 5,
    });
    expect(classifyHttp(new HttpStatusError(503))).toMatchObject({ decision: 'retry', busy: false });
  });

  test('a broken body is tried again, and then fails', () => {
    expect(classifyHttp(new MalformedBody('broken off after 3 bytes'))).toEqual({
      decision: 'retry',
      code: 'MALFORMED_BODY',
    });
  });

  test.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Sat, 01 Nov 2025 10:00:30 GMT', 30_000],
    ['Sat, 01 Nov 2025 09:59:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    [undefined, undefined],
  ])('Retry-After %s is %s ms', (header, milliseconds) => {
    expect(retryAfter(header, Date.parse('2025-11-01T10:00:00Z'))).toBe(milliseconds);
  });
});

describe('MongoDB', () => {
  test('network and stepping down are tried again, a duplicate fails', () => {
    expect(classifyMongo(new MongoNetworkError('connection closed'))).toMatchObject({
      decision: 'retry',
      unavailable: true,
    });
    expect(classifyMongo(new MongoServerError({ message: 'x', code: 10107 }))).toMatchObject({
      decision: 'retry',
    });
    expect(classifyMongo(new MongoServerError({ message: 'x', code: 11000 }))).toEqual({
      decision: 'fail',
      code: 'MONGO_11000',
    });
    expect(classifyMongo(new Error('x'))).toBeUndefined();
  });
});

describe('a classification', () => {
  test('asks the step before the stores', () => {
    const expected = classifyWith([
      (error) =>
        error instanceof HttpStatusError && error.status === 404
          ? { decision: 'skip', code: 'GONE' }
          : undefined,
    ]);
    expect(expected(new HttpStatusError(404))).toEqual({ decision: 'skip', code: 'GONE' });
    expect(expected(new HttpStatusError(400)).decision).toBe('fail');
    expect(expected(new SkipItem('ODD', 'no'))).toEqual({ decision: 'skip', code: 'ODD' });
  });

  test('looks at the causes, the outermost first', () => {
    const wrapped = new Error('fetch failed', {
      cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
    });
    expect(classifyWith(undefined)(wrapped).decision).toBe('retry');
    expect(classifyWith([])(new Error('x'))).toEqual({ decision: 'fail', code: 'Error' });
    expect(classifyWith([])(null)).toEqual({ decision: 'fail', code: 'UNKNOWN' });
  });
});

describe('what is shown', () => {
  test('never holds the value that a database refused, nor the text that could not be read', () => {
    const duplicate = databaseError('23505', 'Key (email)=(hidden-word) already exists', {
      table: 'customer',
      constraint: 'customer_email_key',
    });
    expect(safeMessage(duplicate)).toBe(
      'the database refused a value (SQLSTATE 23505): table customer, constraint customer_email_key',
    );
    expect(
      safeMessage(databaseError('22P02', 'invalid input syntax for type integer: "hidden-word"')),
    ).not.toContain('hidden-word');
    expect(safeMessage(new SyntaxError('Unexpected token h in "hidden-word"'))).not.toContain('hidden-word');
    expect(safeMessage('hidden-word')).not.toContain('hidden-word');
  });

  test('says where, and keeps our own failures as they are', () => {
    const own = failure('SkipLimitExceeded', 'one too many');
    expect(toFailure(own, { decision: 'fail', code: 'X' }, 'somewhere')).toBe(own);
    const away = toFailure(
      new Error('gone'),
      { decision: 'retry', code: 'AWAY', unavailable: true },
      'job step copy',
    );
    expect(away).toMatchObject({ type: 'Unavailable', nonRetryable: false });
    expect(away.message).toBe('job step copy: gone [AWAY]');
    expect(toFailure(new Error('bad'), { decision: 'fail', code: 'BAD' }, 'x')).toMatchObject({
      type: 'ItemFailed',
      nonRetryable: true,
    });
  });

  test('tells a story without wrappers and repetitions', () => {
    const inner = failure('Fenced', 'epoch 3 has passed');
    const error = new Error('Activity task failed', { cause: inner });
    expect(describeError(new Error('step copy failed', { cause: error }))).toBe(
      'step copy failed: epoch 3 has passed',
    );
    expect(failureTypeOf(error)).toBe('Fenced');
    expect(describeError('text')).toBe('text');
  });
});

describe('a fingerprint', () => {
  test.each([
    ['no document T-0000001', 'no document T-0000002'],
    ['no document for "a b"', 'no document for "c"'],
    ['id 7d444840-9dc0-11d1-b245-5ffdce74fad2 is gone', 'id 8d444840-9dc0-11d1-b245-5ffdce74fad3 is gone'],
    ['row 5 of 10', 'row 6 of 11'],
  ])('is the same for %s and %s', (one, other) => {
    expect(fingerprint({ code: 'X', message: one })).toBe(fingerprint({ code: 'X', message: other }));
  });

  test('differs by code and by what happened, and stays short', () => {
    const prints = [
      { code: 'A', message: 'gone' },
      { code: 'B', message: 'gone' },
      { code: 'A', message: 'broken' },
    ].map(fingerprint);
    expect(new Set(prints).size).toBe(3);
    expect(fingerprint({ code: 'A', message: 'word '.repeat(1000) }).length).toBeLessThanOrEqual(200);
  });

  test('of a hostile message is made of its beginning alone, however long it is', () => {
    for (const hostile of [
      `"${'\\"'.repeat(10_000)}`,
      '1a'.repeat(10_000),
      `'`.repeat(20_000),
      '0123-'.repeat(4_000),
    ]) {
      const print = (message: string) => fingerprint({ code: 'A', message });
      expect(print(`${hostile} gone`)).toBe(print(`${hostile} "broken" twice`));
    }
  });
});

test('the wait before a retry doubles, up to its maximum', () => {
  const retry = { retries: 9, initialMs: 250, maximumMs: 3000 };
  expect([1, 2, 3, 4, 5, 50].map((failures) => backoff(retry, failures))).toEqual([
    250, 500, 1000, 2000, 3000, 3000,
  ]);
});

function databaseError(
  state: string,
  message = 'refused',
  fields: Partial<pg.DatabaseError> = {},
): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code: state, ...fields });
}
