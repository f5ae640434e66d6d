/** A rise of less than this is our own noise: a busy processor, a collection of garbage, a connection made. */
const noiseMs = 50;

/** Answers that it takes at least to say how long answers take. */
const leastAnswers = 30;

/** A little more than the API works on: it is never idle, and an estimate may be too low. */
const spare = 1.1;

/** Samples until a first trial without a suspicion, and the most between two of them. */
const firstTrial = 16;
const mostBetweenTrials = 256;

/** What answers took, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly mean: number;
  /** The fastest but a tenth of them. */
  readonly fast: number;
}

/** Answers, until there are enough of them to say something. */
class Sample {
  #milliseconds: number[] = [];

  /** @returns what they took, if they are enough by now: the next ones are another sample. */
  add(milliseconds: readonly number[]): Latency | undefined {
    this.#milliseconds.push(...milliseconds);
    const { length } = this.#milliseconds;
    if (length < leastAnswers) return undefined;
    const sorted = this.#milliseconds.toSorted((a, b) => a - b);
    this.#milliseconds = [];
    const at = (share: number) => sorted[Math.floor(share * length)] ?? 0;
    return { median: at(0.5), mean: sorted.reduce((a, b) => a + b, 0) / length, fast: at(0.1) };
  }
}

/**
 * The latency of an API without a queue, as far as it is known. The first answers may have queued among themselves, so
 * the fast ones of them count; afterwards the median does. Where there has been a queue from the beginning neither is
 * right: what is known for sure is what a {@link QueueTrial} has shown, so there is one now and then.
 */
export class LatencyReference {
  #sample = new Sample();
  #best: number | undefined;
  #suspicions = 0;
  #samples = 0;
  #patience = firstTrial;

  /** In milliseconds; 0 as long as nothing was seen. */
  get best(): number {
    return this.#best ?? 0;
  }

  /**
   * Takes answers into account, and says whether it is time for a trial.
   *
   * @param isFree nothing limits the calls: so nothing else will show a queue.
   * @returns what answers take now, if it is.
   */
  look(milliseconds: readonly number[], isFree: boolean): Latency | undefined {
    const latency = this.#sample.add(milliseconds);
    if (!latency) return undefined;
    const { median, fast } = latency;
    // The first calls have all begun when fewer were out, and cannot be compared with any others.
    this.#best ??= fast;
    // Half the way: else it would in time become the luckiest of all samples.
    if (median < this.#best) this.#best = (this.#best + median) / 2;
    this.#samples++;
    // Twice in a row: one may be chance, and while a queue grows its calls say too little.
    this.#suspicions = median > 1.5 * this.#best + noiseMs ? this.#suspicions + 1 : 0;
    const due = this.#suspicions >= 2 || (isFree && this.#samples >= this.#patience);
    return due ? latency : undefined;
  }

  /** A trial has shown it. @param found whether there was a queue: the less there is to find, the rarer the trials. */
  learn(median: number, found: boolean): void {
    this.#best = found ? Math.min(this.best, median) : median;
    this.#suspicions = this.#samples = 0;
    this.#patience = found ? firstTrial : Math.min(2 * this.#patience, mostBetweenTrials);
  }
}

/**
 * Tells a queue from an API that is slow: half as many calls are let out, again and again as long as that makes answers
 * so much faster. When it does not any more there is no queue left, and by Little's law the API works on as many calls
 * as it answers in that time.
 */
export class QueueTrial {
  readonly #reference: LatencyReference;
  readonly #level: number;
  #before: Latency;
  #last: Latency;
  #sample = new Sample();
  #rounds = 0;

  /** @param before what answers take with so many calls out. */
  constructor(reference: LatencyReference, level: number, before: Latency) {
    this.#reference = reference;
    this.#level = level;
    this.#before = this.#last = before;
  }

  /** What answers took before it, in milliseconds. */
  get median(): number {
    return this.#before.median;
  }

  /**
   * Takes the answers of a round of half as many calls into account.
   *
   * @returns whether to go on, to halve them once more, to go back to where it began, or how many calls the API works on.
   */
  next(milliseconds: readonly number[]): 'on' | 'half' | 'back' | number {
    // The first to come back are those that were quick: only the second round is a fair sample.
    if (this.#rounds++ === 0) return 'on';
    const latency = this.#sample.add(milliseconds);
    if (latency) return this.#judge(latency, this.#last);
    // Hardly any answer says how long it took.
    return this.#rounds > leastAnswers ? 'back' : 'on';
  }

  #judge(latency: Latency, last: Latency): 'half' | 'back' | number {
    const { median, mean } = latency;
    this.#last = latency;
    this.#rounds = 0;
    if (median > 1.25 * last.median) {
      // The queue was still growing, or the API is becoming slower: what was seen before says nothing.
      if (median > this.median) this.#before = latency;
      return 'half';
    }
    if (median < 0.6 * last.median) return 'half';
    const found = median < 0.8 * this.median && this.median - median > noiseMs;
    this.#reference.learn(median, found);
    return found ? this.#level * Math.min(1, (spare * mean) / this.#before.mean) : 'back';
  }
}
