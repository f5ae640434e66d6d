import { grouped } from '../contract/grouped.ts';
import type { ChunkBounds } from '../contract/policy.ts';
import type { Decisions } from './decisions.ts';

/** How much a new measurement counts beside those before it. */
const weight = 0.4;

/** Measurements at a size before it grows: one quick chunk may be luck. */
const trust = 2;

/** One step is at most so much up, or so much down. */
const bounds = { up: 1.2, down: 0.6 };

/** Of the target's time: what takes less may grow, what takes more shrinks. In between nothing moves. */
const band = { least: 0.8, most: 1.1 };

/** A chunk within this share of the present size says something about it; others were formed at another one. */
const sameSize = 0.15;

/**
 * The commit interval of a page, by time efficiency: a smoothed share of the target's time that chunks take decides
 * whether they become larger or smaller, in bounded steps. A chunk that takes longer than the target is answered at
 * once. The idea is that of GitLab's batched background migrations (`BatchOptimizer`).
 */
export class ChunkSize {
  readonly #bounds: ChunkBounds | undefined;
  readonly #decisions: Decisions;
  #present: number;
  /** Share of the target's time that chunks of the present size take. */
  #efficiency: number | undefined;
  #measured = 0;
  #mostAtOnce = Number.POSITIVE_INFINITY;

  /** @param allowed undefined for a size that stays, unless statements are cancelled. */
  constructor(size: number, allowed: ChunkBounds | undefined, decisions: Decisions) {
    this.#bounds = allowed;
    this.#decisions = decisions;
    this.#present = allowed ? clamp(size, allowed) : size;
  }

  /** Items that commit together. */
  get present(): number {
    return this.#present;
  }

  /** The size that the next page is to begin with; undefined for the one that it was given. */
  get learned(): number | undefined {
    return this.#bounds ? this.#present : undefined;
  }

  /** Items that one statement may be about: any number, until one was cancelled. */
  get mostAtOnce(): number {
    return this.#mostAtOnce;
  }

  /**
   * Notes that a statement about so many items was cancelled, by its time-out as a rule. It would be again: what has been
   * formed is written by halves, and what follows is half as large, whatever the bounds say.
   *
   * @returns whether there is less to try.
   */
  wasCancelled(items: number, reason: string): boolean {
    if (items < 2) return false;
    this.#mostAtOnce = Math.floor(items / 2);
    const from = this.#present;
    this.#moveTo(Math.max(1, Math.floor(from / 2)));
    const many = grouped(items);
    this.#decisions.add('chunkSize', from, this.#present, `${many} at once: ${reason}`);
    return true;
  }

  /** Notes how long a chunk took to be written and committed. */
  took(items: number, milliseconds: number): void {
    if (!this.#bounds || Math.abs(items / this.#present - 1) > sameSize) return;
    const share = milliseconds / 1000 / this.#bounds.targetSeconds;
    this.#efficiency =
      this.#efficiency === undefined ? share : weight * share + (1 - weight) * this.#efficiency;
    this.#measured++;
    if (share > band.most) this.#become(1 / share, milliseconds);
    else if (this.#efficiency > band.most) this.#become(1 / this.#efficiency, milliseconds);
    else if (this.#efficiency < band.least && share < band.least && this.#measured >= trust)
      this.#become(1 / Math.max(this.#efficiency, share), milliseconds);
  }

  #become(factor: number, milliseconds: number): void {
    if (!this.#bounds) return;
    const from = this.#present;
    const bounded = Math.min(bounds.up, Math.max(bounds.down, factor));
    // Rounded away from where it is: a size of 2 must be able to become 3.
    const wanted = bounded > 1 ? Math.ceil(from * bounded) : Math.floor(from * bounded);
    this.#moveTo(clamp(wanted, this.#bounds));
    if (this.#present === from) return;
    this.#mostAtOnce = Math.max(this.#mostAtOnce, this.#present);
    const { targetSeconds } = this.#bounds;
    const reason = `a chunk of ${grouped(from)} took ${seconds(milliseconds / 1000)}, the target is ${seconds(targetSeconds)}`;
    this.#decisions.add('chunkSize', from, this.#present, reason);
  }

  #moveTo(size: number): void {
    if (size === this.#present) return;
    this.#present = size;
    // What it will take is not known: a chunk has a part that does not become shorter.
    this.#efficiency = undefined;
    this.#measured = 0;
  }
}

function clamp(size: number, { minimum, maximum }: ChunkBounds): number {
  return Math.max(minimum, Math.min(maximum, size));
}

function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}
