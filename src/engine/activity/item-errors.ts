import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import type { Classifier, ErrorClass } from '../../contract/classification.ts';
import type { FailedItem } from '../../contract/activities.ts';
import type { RetryPolicy, SkipPolicy } from '../../contract/policy.ts';
import { type FailureType, failure } from '../../contract/errors.ts';
import { classifyPostgres } from '../../stores/postgres/errors.ts';
import { classifyHttp } from '../../stores/http/errors.ts';
import { classifyMongo } from '../../stores/mongo/errors.ts';
import { SkipItem } from './chunks.ts';

const classifySkip: Classifier = (error) =>
  error instanceof SkipItem ? { decision: 'skip', code: error.code } : undefined;

/** What a step's policy says about errors. */
export interface ErrorPolicy {
  readonly retry?: Pick<RetryPolicy, 'codes'>;
  readonly skip?: SkipPolicy;
}

/**
 * What to do about an error: what its own processor or classifiers say, then what the stores know, and over both what
 * the step's policy says. The error's causes are asked in turn; the first that is retried or skipped decides.
 */
export function classifyWith(
  own: readonly Classifier[] | undefined,
  policy: ErrorPolicy = {},
): (error: unknown) => ErrorClass {
  const classifiers = [classifySkip, ...(own ?? []), classifyPostgres, classifyMongo, classifyHttp];
  return (error) => {
    const chain = causesOf(error).map((at) => withPolicy(at, firstKnown(classifiers, at), policy));
    const decided = chain.find(({ found }) => found.decision !== 'fail') ?? chain.find(({ known }) => known);
    return (decided ?? chain[0] ?? unknownError).found;
  };
}

interface Classified {
  readonly found: ErrorClass;
  readonly known: boolean;
}

const unknownError: Classified = { found: { decision: 'fail', code: 'UNKNOWN' }, known: false };

function firstKnown(classifiers: readonly Classifier[], error: unknown): ErrorClass | undefined {
  for (const classifier of classifiers) {
    const found = classifier(error);
    if (found) return found;
  }
  return undefined;
}

function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (
    let at = error;
    at !== undefined && at !== null && chain.length < 20;
    at = at instanceof Error ? at.cause : null
  ) {
    chain.push(at);
  }
  return chain;
}

function withPolicy(error: unknown, known: ErrorClass | undefined, { retry, skip }: ErrorPolicy): Classified {
  const found = known ?? { decision: 'fail', code: error instanceof Error ? error.name : 'UNKNOWN' };
  const names = [found.code, ...classNamesOf(error)];
  const named = (codes: readonly string[] | undefined) =>
    codes?.some((code) => names.some((name) => matches(name, code)));
  if (named(skip?.except)) return { found: { ...found, decision: 'fail' }, known: true };
  const byPolicy = found.decision === 'fail' && named(retry?.codes) === true;
  const retried = found.decision === 'retry' || byPolicy;
  if (named(skip?.codes))
    return { found: { ...found, decision: retried ? 'retry' : 'skip', exhausted: 'skip' }, known: true };
  return {
    found: byPolicy ? { ...found, decision: 'retry', exhausted: 'fail' } : found,
    known: known !== undefined,
  };
}

/** A code of a store may be given by its beginning; a class is named whole. */
function matches(name: string, code: string): boolean {
  return name === code || (/^(SQLSTATE|HTTP|MONGO)_/u.test(code) && name.startsWith(code));
}

/** The classes of an error, up to but not including Error itself. */
function classNamesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const names: string[] = [error.name];
  for (let at = Object.getPrototypeOf(error) as object | null; at && at !== Error.prototype;) {
    names.push(at.constructor.name);
    at = Object.getPrototypeOf(at) as object | null;
  }
  return names.filter((name) => name !== 'Error');
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

/** Where in the code an error was raised, its causes included: the frames alone, without the messages above them. */
export function framesOf(error: unknown): string {
  return causesOf(error)
    .map((at) => (at instanceof Error ? (at.stack ?? '') : ''))
    .flatMap((stack) => stack.split('\n').filter((line) => /^\s+at /u.test(line)))
    .join('\n');
}

/** Whether a table of the ledger itself was not there. */
function lacksLedger(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError &&
    ['42P01', '3F000'].includes(error.code ?? '') &&
    error.message.includes('keystride.')
  );
}

/** Another worker may be set up rightly, and a restore may be under way. */
function withoutLedger(where: string): ApplicationFailure {
  return failure(
    'OtherLedger',
    `${where}: the database that DATABASE_URL of this worker leads to has no ledger, or one of an older release. ` +
      'Correct DATABASE_URL, or make its tables: keystride migrate',
    { retryable: true },
  );
}

/**
 * An error as Temporal may keep it: our own failures as they are, others by their safe message alone.
 *
 * @param where job, step, partition and key, for the message.
 * @param failedKey the item that failed, where one item alone did.
 */
export function toFailure(
  error: unknown,
  found: ErrorClass,
  where: string,
  failedKey?: string,
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (lacksLedger(error)) return withoutLedger(where);
  const away = found.decision === 'retry' && found.unavailable === true;
  const type: FailureType = away ? 'Unavailable' : 'ItemFailed';
  const details: FailedItem[] = failedKey === undefined ? [] : [{ failedKey }];
  const retryable = found.decision === 'retry';
  return failure(type, `${where}: ${safeMessage(error)} [${found.code}]`, { retryable, details });
}
