import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createLogger, temporalLogger } from '../packages/keystride/src/host/logging.ts';

function logged(meta: Record<string, unknown>): Record<string, unknown> {
  let line = '';
  const log = createLogger('trace', { write: (text) => void (line += text) });
  temporalLogger(log).error('Activity failed', meta);
  return JSON.parse(line) as Record<string, unknown>;
}

test.each(['error', 'err', 'reason', 'failure'])('an error under %s is told by type and message', (name) => {
  class NoSuchStep extends Error {
    override readonly name = 'NoSuchStep';
  }
  expect(logged({ [name]: new NoSuchStep('no such step') })[name]).toMatchObject({
    type: 'NoSuchStep',
    message: expect.stringContaining('no such step'),
    stack: expect.stringMatching(/^\s+at /u),
  });
});

test('causes, errors of several and errors within objects are told', () => {
  const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' });
  const several = new AggregateError([cause, new Error('and again')], 'both failed');
  const record = logged({
    error: ApplicationFailure.create({ message: 'step a failed', type: 'StepFailed', cause: several }),
    inner: { list: [new RangeError('deep')] },
  });
  expect(record).toMatchObject({
    msg: 'Activity failed',
    error: {
      type: 'StepFailed',
      message: expect.stringContaining('step a failed'),
      cause: {
        type: 'AggregateError',
        message: 'ECONNREFUSED; and again',
        errors: [{ message: 'ECONNREFUSED', code: 'ECONNREFUSED' }, { message: 'and again' }],
      },
    },
    // The runtime quotes what it could not take.
    inner: { list: [{ type: 'RangeError', message: expect.not.stringContaining('deep') }] },
  });
});

test('what a database quotes of a row is told nowhere', () => {
  const error = new pg.DatabaseError('invalid input syntax: "4111 1111"', 1, 'error');
  Object.assign(error, { code: '22P02', detail: 'Key (card)=(4111 1111)', table: 'payment' });
  const failed = new ActivityFailure(
    'Activity task failed',
    'processPage',
    '1',
    'NON_RETRYABLE_FAILURE',
    'w',
    error,
  );
  for (const meta of [{ error }, { error: failed }, { error: new Error('page failed', { cause: error }) }]) {
    const record = JSON.stringify(logged(meta));
    expect(record).toContain('SQLSTATE 22P02');
    expect(record).not.toContain('4111');
  }
});

test('what goes round in circles, or is no object of ours, ends nothing', () => {
  const round: Record<string, unknown> = { name: 'round' };
  round['self'] = round;
  const error = new Error('self');
  error.cause = error;
  expect(logged({ round, error, at: new Date(0), none: null })).toMatchObject({
    round: { name: 'round' },
    error: { message: 'self' },
    at: '1970-01-01T00:00:00.000Z',
    none: null,
  });
});

test('a task token is told nowhere', () => {
  expect(logged({ taskToken: 'secret' })).not.toHaveProperty('taskToken');
});

test('a line holds nothing that a terminal obeys, or that turns its text round', () => {
  const hostile = 'a\u001b[31m\u009b1m\u202eb';
  const line = JSON.stringify(
    logged({ note: hostile, error: new Error(hostile), inner: { deep: [hostile] } }),
  );
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}]|\\u00[19]b/u);
});
