import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import type { Classifier, ErrorClass } from '../contract/classification.ts';
import type { RetryPolicy, SkipPolicy } from '../contract/policy.ts';
import { type FailureType, failure } from '../contract/errors.ts';
import { type FailurePlace, failurePlaceOf } from '../contract/failure-place.ts';
import { keystride } from '../contract/shell.ts';
import { classifyPostgres } from '../stores/postgres/errors.ts';
import { classifyHttp } from '../stores/http/errors.ts';
import { classifyMongo } from '../stores/mongo/errors.ts';
import { SkipItem } from '../job/chunks.ts';
import { framesOf, nameOf, safeMessage } from '../stores/safe-message.ts';
import { causesOf } from '../stores/causes.ts';

export { framesOf, safeMessage } from '../stores/safe-message.ts';

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

function withPolicy(error: unknown, known: ErrorClass | undefined, { retry, skip }: ErrorPolicy): Classified {
  const found = known ?? { decision: 'fail', code: error instanceof Error ? nameOf(error) : 'UNKNOWN' };
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
      `Correct DATABASE_URL, or make its tables: ${keystride} migrate`,
    { retryable: true },
  );
}

/**
 * An error as Temporal may keep it: our own failures as they are, others by their safe message alone. None has causes or
 * a stack that repeats a message.
 *
 * @param where job, step, partition and key, for the message.
 * @param place the same as data, of what belongs to a step.
 * @param told what may be shown of the error.
 */
export function toFailure(
  error: unknown,
  found: ErrorClass,
  where: string,
  place?: FailurePlace,
  told = safeMessage(error),
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return cleaned(error, place);
  if (lacksLedger(error)) return withoutLedger(where);
  const away = found.decision === 'retry' && found.unavailable === true;
  const type: FailureType = away ? 'Unavailable' : 'ItemFailed';
  const retryable = found.decision === 'retry';
  const details = place ? [place] : [];
  const failed = failure(type, `${where}: ${told} [${found.code}]`, { retryable, details });
  failed.stack = framesOf(error);
  return failed;
}

/**
 * A failure that keeps its type and details, tells its place, and shows of its message what may be shown. Its causes and
 * its stack would be kept as they are: the first stand in the message, of the second only the frames stay.
 */
function cleaned(error: ApplicationFailure, place: FailurePlace | undefined): ApplicationFailure {
  const message = safeMessage(error);
  const stack = framesOf(error);
  const untold = place && !failurePlaceOf(error) ? [place] : [];
  const clean =
    message === error.message && error.cause === undefined && untold.length === 0
      ? error
      : ApplicationFailure.create({ ...optionsOf(error, untold), message });
  clean.stack = stack;
  return clean;
}

function optionsOf(
  { type, nonRetryable, details: own, nextRetryDelay, category }: ApplicationFailure,
  untold: readonly FailurePlace[],
) {
  const details = [...(own ?? []), ...untold];
  return {
    nonRetryable: nonRetryable === true,
    ...(type ? { type } : {}),
    ...(details.length > 0 ? { details } : {}),
    ...(nextRetryDelay ? { nextRetryDelay } : {}),
    ...(category ? { category } : {}),
  };
}
