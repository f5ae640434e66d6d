import type { CancellationScope } from '@temporalio/workflow';

/** A partition that has its place in the window. */
export interface RunningPartition {
  readonly partition: number;
  /** Its part of what the step may process at a time, and a second: 1 is all of it. */
  readonly share: number;
  /** When it was started, in milliseconds. */
  readonly since: number;
  readonly scope: CancellationScope;
  /** It is being brought to rest, so that what is left of it can be cut in two. */
  splitting: boolean;
}

/** The partitions that have their place in a window, and which of them may be cut in two for places that are idle. */
export class RunningPartitions {
  readonly #running = new Map<number, RunningPartition>();
  /** Those that cannot be cut, or have too little left: it only becomes less. */
  readonly #whole = new Set<number>();
  readonly #places: number;

  /** @param places partitions that may run at a time, when there are so many. */
  constructor(places: number) {
    this.#places = places;
  }

  add(running: RunningPartition): void {
    this.#running.set(running.partition, running);
  }

  delete(partition: number): void {
    this.#running.delete(partition);
  }

  /** The part that all of them have of what the step may process at a time. */
  get share(): number {
    return [...this.#running.values()].reduce((sum, { share }) => sum + share, 0);
  }

  /** Places that no partition has, nor is about to have by a split that is under way. */
  get idle(): number {
    const splitting = [...this.#running.values()].filter((running) => running.splitting).length;
    return this.#places - this.#running.size - splitting;
  }

  /** Those that have run for so long, in milliseconds, and may be cut. */
  candidates(splitAfter: number): number[] {
    return [...this.#running.values()]
      .filter(({ splitting, since }) => !splitting && Date.now() - since >= splitAfter)
      .map(({ partition }) => partition)
      .filter((partition) => !this.#whole.has(partition));
  }

  /** A partition is not worth cutting any more. */
  keepWhole(partition: number): void {
    this.#whole.add(partition);
  }

  /** Brings a partition to rest, so that it can be cut. */
  bringToRest(partition: number): void {
    const running = this.#running.get(partition);
    if (!running) return;
    running.splitting = true;
    running.scope.cancel();
  }
}
