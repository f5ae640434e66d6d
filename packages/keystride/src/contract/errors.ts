import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';

// In a file of its own: the command wants it before it loads anything of Temporal.
export { ToldError } from './told-error.ts';

/**
 * The failures that keystride itself raises, by the `type` that Temporal records. A name says what became of
 * the run; the message says what happened, where, and what to do.
 */
export const failureTypes = [
  /** Another open execution owns the instance. */
  'JobExecutionAlreadyRunning',
  /** The instance has completed; it runs again only under other identifying parameters. */
  'JobInstanceAlreadyComplete',
  /** The job must not be restarted, and an earlier execution has left its instance unfinished. */
  'JobRestartRefused',
  /** One execution more than the step's start limit. */
  'StartLimitExceeded',
  /** Parameters missing, unknown, or of the wrong type. */
  'JobParametersInvalid',
  /** This worker does not know the job or the step. */
  'UnknownJob',
  /** One skip more than the step allows; nothing of that chunk has committed. */
  'SkipLimitExceeded',
  /** An item or a chunk failed for good and may not be skipped. */
  'ItemFailed',
  /** An execution that has lost its instance to a later one tried to commit. */
  'Fenced',
  /** The ledger has lost what it had acknowledged: a failover, or a restore to an earlier moment. */
  'LedgerBehind',
  /** A run that was claimed in one ledger has met another: the database address of a worker leads elsewhere. */
  'OtherLedger',
  /** Another project has claimed the instance: both have a job of that name, upon one ledger. */
  'OtherProject',
  /** A page attempt that has lost its partition to a later attempt tried to commit. */
  'Superseded',
  /** The keys of a step are in another order than when it opened: another type, collation, or library that sorts texts. */
  'KeyOrderChanged',
  /** A database, an API or a network that is away for now. */
  'Unavailable',
  /** read + read skips ≠ written + filtered + skipped, or a partition is not done. */
  'BooksDoNotBalance',
  /** Source and target differ. */
  'VerificationFailed',
  /** Two sides of which nobody can say whether they differ. */
  'Incomparable',
  /** A step has failed; the message names it and its cause. */
  'StepFailed',
  /** An instance has no open skip that a redrive was asked for. */
  'NothingToRedrive',
  /** The skips of a step cannot be run again: its reader cannot read single items. */
  'RedriveRefused',
  /** Differences were to be repaired while the instance runs, or by a job that cannot. */
  'RepairRefused',
  /** Work that is throttled and has not begun: its workflow waits, and tries it again. */
  'HeldBack',
  /** The clocks of the ledger, of Temporal and of this process differ, and something was to be deleted by its age. */
  'ClocksApart',
  /** A control was sent that the state of the execution does not allow. */
  'ControlRefused',
] as const;

export type FailureType = (typeof failureTypes)[number];

/** Bytes of UTF-8 that a message may have where it is kept: in a history, the ledger, an alert. */
export const longestMessage = 2048;

/**
 * A text that fits. Of one that is too long the beginning is kept, which says where, and the end, which says why: the
 * innermost reason stands last. It is cut between characters, and says in its middle how much is missing.
 *
 * @param most in bytes of UTF-8.
 */
export function cutText(text: string, most = longestMessage): string {
  const bytes = bytesOf(text);
  if (bytes <= most) return text;
  const note = ` … (${bytes} bytes, cut here) … `;
  const half = Math.max(0, Math.floor((most - bytesOf(note)) / 2));
  return `${startWithin(text, half)}${note}${endWithin(text, half)}`;
}

/** Of a text in UTF-8, where half of a surrogate pair becomes U+FFFD. */
function bytesOf(text: string): number {
  let bytes = 0;
  for (const character of text) bytes += bytesOfCharacter(character);
  return bytes;
}

function bytesOfCharacter(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x1_00_00 ? 3 : 4;
}

function startWithin(text: string, most: number): string {
  let bytes = 0;
  let length = 0;
  for (const character of text) {
    bytes += bytesOfCharacter(character);
    if (bytes > most) break;
    length += character.length;
  }
  return text.slice(0, length);
}

/** No character takes more units of UTF-16 than bytes of UTF-8, so the end is among the last `most` units. */
function endWithin(text: string, most: number): string {
  const end = Array.from(text.slice(Math.max(0, text.length - most)));
  let bytes = 0;
  let first = end.length;
  while (first > 0 && bytes + bytesOfCharacter(end[first - 1] as string) <= most) {
    first -= 1;
    bytes += bytesOfCharacter(end[first] as string);
  }
  return end
    .slice(first)
    .join('')
    .replace(/^[\uDC00-\uDFFF]/u, '');
}

/**
 * A failure of one of our types. It is not retried by Temporal unless `retryable` says so.
 *
 * @param message what happened, where (job, step, partition, key), what to do. Never a row's content. Cut at
 *   {@link longestMessage}.
 * @param options `benign` is what belongs to the ordinary course of things: no warning in the worker's log.
 */
export function failure(
  type: FailureType,
  message: string,
  options: { retryable?: boolean; cause?: unknown; details?: readonly unknown[]; benign?: boolean } = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    // Temporal takes no text with half of a surrogate pair, and is brought down by one of megabytes.
    message: cutText(message.toWellFormed()),
    nonRetryable: options.retryable !== true,
    ...(options.details?.length ? { details: [...options.details] } : {}),
    ...(options.cause instanceof Error ? { cause: options.cause } : {}),
    ...(options.benign ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

/** The type of the failure that an error is or was caused by, the innermost that is one of ours. */
export function failureTypeOf(error: unknown): FailureType | undefined {
  let found: FailureType | undefined;
  for (let at = error; at instanceof Error; at = at.cause) {
    const type = 'type' in at ? at.type : undefined;
    found = failureTypes.find((known) => known === type) ?? found;
  }
  return found;
}

/**
 * An error's story in one line: the message of every cause that adds something, outermost first, without the
 * wrappers that Temporal puts around ("Activity task failed"). Cut at {@link longestMessage}.
 */
export function describeError(error: unknown): string {
  const messages: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const wrapper = /^(Activity task failed|Child Workflow execution failed|Workflow execution failed)$/i;
    const message = at.message || at.name;
    if (!wrapper.test(message) && !messages.some((told) => told.includes(message))) messages.push(message);
  }
  return cutText(messages.join(': ') || String(error));
}
