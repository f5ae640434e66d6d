import { setTimeout as delay } from 'node:timers/promises';
import { ToldError } from '../contract/errors.ts';
import { UnusableAnswer } from '../contract/unusable-answer.ts';
import type { ErrorClass } from '../contract/classification.ts';
import type { RetryPolicy } from '../contract/policy.ts';
import { filteredOut, pending, Skipped } from './block.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { ItemContext, Processor } from '../job/chunks.ts';
import type { Subject } from '../stores/content.ts';
import { safeMessage } from './item-errors.ts';
import type { Place } from './item-queue.ts';

export interface Processing {
  readonly processor: Processor<unknown, unknown>;
  readonly classify: (error: unknown) => ErrorClass;
  readonly retry: RetryPolicy;
  readonly budget: ByteBudget;
  readonly signal: AbortSignal;
  /** Aborted as soon as the page is to end: what has not begun then is left to the next one. @default signal */
  readonly ending?: AbortSignal;
  /** Told of each item that is to be tried again. */
  onRetry?(found: ErrorClass): void;
  /** Told of every wait, for the heartbeat: why, and that it is over. */
  onWait?(reason: string | null): void;
}

/** An item that failed for good; the step decides what that means. Its message may be shown: see `safeMessage`. */
export class ItemFailed extends ToldError {
  override readonly name = 'ItemFailed';
  readonly found: ErrorClass;
  readonly key: string;
  readonly attempts: number;
  readonly phase: 'read' | 'process' | 'write';
  /** Whether one item alone is known to have failed. */
  readonly single: boolean;

  constructor(
    cause: unknown,
    found: ErrorClass,
    key: string,
    attempts: number,
    phase: 'read' | 'process' | 'write' = 'process',
    single = true,
    items: readonly unknown[] = [],
  ) {
    super(safeMessage(cause, { items, key }), { cause });
    this.found = found;
    this.key = key;
    this.attempts = attempts;
    this.phase = phase;
    this.single = single;
  }
}

/**
 * Processes one item: retries what may pass, sets aside what is to be skipped.
 *
 * A processor that answers at once is answered at once, without a promise an item.
 *
 * @returns what has become of the item, as a block holds it: `pending` when the page ended before the item did, which
 *   is somebody else's then.
 * @throws ItemFailed
 */
export function processItem(place: Place, processing: Processing): unknown {
  let first: unknown;
  try {
    first = processing.processor(itemAt(place), contextOf(place, processing, 1));
    if (!isThenable(first)) return outcomeOf(first);
  } catch (error) {
    first = Promise.reject(error);
  }
  return finishItem(place, processing, first);
}

async function finishItem(place: Place, processing: Processing, first: unknown): Promise<unknown> {
  const { block, index } = place;
  let failures = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const processed =
        attempt === 1 ? first : processing.processor(itemAt(place), contextOf(place, processing, attempt));
      return outcomeOf(await processed);
    } catch (error) {
      block.releaseItem(index);
      if (processing.signal.aborted || wasNotToBegin(error, processing)) return pending;
      const found = processing.classify(error);
      if (found.decision === 'retry' && !found.busy) failures++;
      const exhausted = failures > processing.retry.retries;
      if (found.decision === 'skip' || (exhausted && found.exhausted === 'skip'))
        return new Skipped('process', found.code, safeMessage(error, subjectOf(place)), attempt);
      if (found.decision === 'fail' || exhausted) throw failedOf(error, whenExhausted(found), place, attempt);
      if (!(await waitForRetry(found, failures, processing))) return pending;
    }
  }
}

/** A service that is away is met again by the page's next attempt; an item that is at fault stays at fault. */
function whenExhausted(found: ErrorClass): ErrorClass {
  return found.unavailable ? found : { ...found, decision: 'fail' };
}

/** @returns false when the page ended meanwhile. */
async function waitForRetry(found: ErrorClass, failures: number, processing: Processing): Promise<boolean> {
  const asked = found.retryAfterMs;
  processing.onRetry?.(found);
  // Not all at the same moment: whoever was refused together would be refused together again.
  const least = backoff(processing.retry, Math.max(1, failures));
  const milliseconds = atMost(Math.max(asked ?? least, processing.retry.initialMs) * (1 + Math.random() / 4));
  processing.onWait?.(
    asked === undefined ? `retrying after ${found.code}` : `${found.code}, asked to wait ${asked} ms`,
  );
  try {
    await delay(milliseconds, undefined, { signal: processing.signal });
    return true;
  } catch {
    return false;
  } finally {
    processing.onWait?.(null);
  }
}

/** The wait before retry number `failures`, in milliseconds: doubled each time, up to the policy's maximum. */
export function backoff(retry: RetryPolicy, failures: number): number {
  return atMost(Math.min(retry.maximumMs, retry.initialMs * 2 ** (failures - 1)));
}

/** A day, in milliseconds. A timer of Node ends at once where it is to wait for more than 24 days, or for no number. */
const longestWait = 86_400_000;

function atMost(milliseconds: number): number {
  return milliseconds <= longestWait ? milliseconds : longestWait;
}

function failedOf(error: unknown, found: ErrorClass, place: Place, attempt: number): ItemFailed {
  const { items, key } = subjectOf(place);
  return new ItemFailed(error, found, key, attempt, 'process', true, items);
}

function subjectOf(place: Place): Subject {
  return { items: [itemAt(place)], key: place.block.page.keyAt(place.index) };
}

function itemAt({ block, index }: Place): unknown {
  return block.page.items[index];
}

function contextOf({ block, index }: Place, processing: Processing, attempt: number): ItemContext {
  const { budget, signal, ending = signal } = processing;
  // Others behind an item that is tried again may be done already, and commit only with it.
  const waiting = attempt === 1 ? ending : signal;
  return { signal, attempt, waiting, reserve: (bytes) => block.reserve(index, budget, bytes, signal) };
}

function wasNotToBegin(error: unknown, { ending }: Processing): boolean {
  return ending?.aborted === true && error === ending.reason;
}

/** Whether it is a promise, or what `await` takes for one: the query of a builder, say. */
function isThenable(output: unknown): boolean {
  return (
    typeof output === 'object' && output !== null && 'then' in output && typeof output.then === 'function'
  );
}

/** @throws UnusableAnswer for what is no output: it would be written as something else, or as nothing. */
function outcomeOf(output: unknown): unknown {
  if (output === null) return filteredOut;
  if (output === undefined)
    throw new UnusableAnswer(
      'the processor has returned nothing: return what is to be written, or null to leave the item out',
    );
  if (output instanceof Error)
    throw new UnusableAnswer(
      'the processor has returned an error: throw it, and the item is set aside or fails',
    );
  return output;
}
