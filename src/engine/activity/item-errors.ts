import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import { type Classifier, classify, type ErrorClass } from '../../contract/classification.ts';
import { type FailureType, failure } from '../../contract/errors.ts';
import { classifyPostgres } from '../../stores/postgres/errors.ts';
import { classifyHttp } from '../../stores/http/errors.ts';
import { classifyMongo } from '../../stores/mongo/errors.ts';
import { SkipItem } from './chunks.ts';

const classifySkip: Classifier = (error) =>
  error instanceof SkipItem ? { decision: 'skip', code: error.code } : undefined;

/** What to do about an error: first what the step says, then what the stores know. */
export function classifyWith(own: readonly Classifier[] | undefined): (error: unknown) => ErrorClass {
  const classifiers = [classifySkip, ...(own ?? []), classifyPostgres, classifyMongo, classifyHttp];
  return (error) => classify(error, classifiers);
}

/**
 * An error in words that may be shown and kept: never a row's content. PostgreSQL quotes the value it could not
 * take, and JSON.parse the text it could not read; of those only the kind is told.
 */
export function safeMessage(error: unknown): string {
  if (error instanceof pg.DatabaseError) return databaseMessage(error);
  if (error instanceof SyntaxError) return 'malformed text (SyntaxError)';
  if (error instanceof Error)
    return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
  return 'something that is not an Error was thrown';
}

function databaseMessage(error: pg.DatabaseError): string {
  const state = error.code ?? '';
  // Class 22 (data exception) and 23 (integrity violation) carry values.
  if (!state.startsWith('22') && !state.startsWith('23')) return `${error.message} (SQLSTATE ${state})`;
  const where = [
    error.table && `table ${error.table}`,
    error.column && `column ${error.column}`,
    error.constraint && `constraint ${error.constraint}`,
  ].filter(Boolean);
  return `the database refused a value (SQLSTATE ${state})${where.length > 0 ? `: ${where.join(', ')}` : ''}`;
}

/**
 * An error as Temporal may keep it: our own failures as they are, others by their safe message alone.
 *
 * @param where job, step, partition and key, for the message.
 */
export function toFailure(error: unknown, found: ErrorClass, where: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const away = found.decision === 'retry' && found.unavailable === true;
  const type: FailureType = away ? 'Unavailable' : 'ItemFailed';
  return failure(type, `${where}: ${safeMessage(error)} [${found.code}]`, {
    retryable: found.decision === 'retry',
  });
}
