import type { PagePolicy } from '../contract/step-activities.ts';
import { Skipped } from './block.ts';
import { safeMessage } from './item-errors.ts';
import type { ItemQueue, Place } from './item-queue.ts';
import { Pace } from './pace.ts';
import { ItemFailed, type Processing, processItem } from './process-item.ts';

export interface ItemsRequest {
  readonly queue: ItemQueue;
  readonly policy: Pick<PagePolicy, 'concurrency' | 'itemsPerSecond' | 'setAside'>;
  readonly processing: Processing;
  /** Told when an item has ended that took a while, in milliseconds. */
  ended(milliseconds: number): void;
  /** Told when the next item may start that the rate has held back. */
  due(): void;
  failed(error: unknown): void;
}

/** The items that are being processed: started from the front of the queue, so many at a time and so many a second. */
export class ItemsInFlight {
  readonly #request: ItemsRequest;
  readonly #pace: Pace;
  readonly #setAside: ReadonlySet<string>;
  #paceTimer: NodeJS.Timeout | undefined;
  #count = 0;
  #closed = false;

  constructor(request: ItemsRequest) {
    this.#request = request;
    this.#pace = new Pace(request.policy.itemsPerSecond);
    this.#setAside = new Set(request.policy.setAside);
  }

  /** Items being processed at this moment. */
  get count(): number {
    return this.#count;
  }

  /** Starts as many as may run now. */
  startMore(): void {
    const { queue, policy } = this.#request;
    while (!this.#closed && this.#count < policy.concurrency && queue.hasNext) {
      if (!this.#pace.mayStart()) {
        this.#startLater();
        break;
      }
      this.#start(queue.next());
    }
    queue.announceFirst();
  }

  /** Starts no more; those that have begun go on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#paceTimer);
  }

  #startLater(): void {
    this.#paceTimer ??= setTimeout(() => {
      this.#paceTimer = undefined;
      this.#request.due();
    }, this.#pace.nextInMs());
  }

  #start(place: Place): void {
    const { block, index } = place;
    let outcome: unknown;
    try {
      outcome = this.#setAsideOf(place) ?? processItem(place, this.#request.processing);
    } catch (error) {
      return this.#request.failed(error);
    }
    if (!(outcome instanceof Promise)) {
      block.outcomes[index] = outcome;
      return;
    }
    this.#count++;
    const begun = performance.now();
    void outcome
      .then((settled: unknown) => void (block.outcomes[index] = settled))
      .catch((error: unknown) => this.#request.failed(error))
      .finally(() => {
        this.#count--;
        this.#request.ended(performance.now() - begun);
      });
  }

  /** The skip of an item that is not to be processed at all. @throws ItemFailed when it cannot be read. */
  #setAsideOf({ block: { page }, index }: Place): Skipped | undefined {
    if (this.#setAside.size > 0 && this.#setAside.has(page.keyAt(index)))
      return new Skipped('process', 'SET_ASIDE', 'set aside by an operator', 1);
    const error = page.errorAt?.(index);
    if (error === undefined) return undefined;
    const found = this.#request.processing.classify(error);
    if (found.decision !== 'skip')
      throw new ItemFailed(error, found, page.keyAt(index), 1, 'read', true, [page.items[index]]);
    return new Skipped(
      'read',
      found.code,
      safeMessage(error, { items: [page.items[index]], key: page.keyAt(index) }),
      1,
    );
  }
}
