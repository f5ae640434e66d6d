import { type Latency, LatencyReference, QueueTrial } from './latency-reference.ts';
import { UsualRefusals } from './usual-refusals.ts';

/** What a call says about the API. */
export type CallOutcome =
  /** It was answered, after so many milliseconds where that says something. */
  | { readonly kind: 'served'; readonly milliseconds?: number }
  /** It was too much: `HTTP 429`, `time-out`. */
  | { readonly kind: 'refused'; readonly code: string }
  /** Nothing: it was given up, or never reached the API. */
  | { readonly kind: 'unknown' };

/** A change of the limit that is worth telling. */
export interface LimitChange {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** A call that is out: its number, by the order in which calls have begun. */
export type CallNumber = number;

/** What is left of the limit when the API refuses or queues. */
const decrease = 0.8;

/** Rounds (the limit's number of calls, served) that it takes to come back to the level that was too much. */
const roundsToCeiling = 12;

/** Calls that it takes at least, so that few of a small limit's calls are refused. */
const callsToCeiling = 100;

/** How far the limit has probed above that level after as many rounds again, as a share of it. */
const probe = 0.1;

/** Calls that a window has at least. */
const leastWindow = 10;

/** The share of calls whose refusal is nothing to react to: once in two hundred. */
const toleratedShare = 0.005;

/** After so long without a call nothing is known any more. In milliseconds. */
const forgetAfterMs = 600_000;

/** A change that is told differs from the level that was told last by more than this share of it. */
const toldShare = 0.1;

/** A decrease, and the way back up from it. */
interface Cut {
  /** Calls up to this one had begun before it. */
  readonly lastBegun: CallNumber;
  /** Calls that were out, and how many of them were refused: the others are what the API could take. */
  readonly out: number;
  refused: number;
  /** The level that the limit comes back to, and then probes beyond with care. */
  ceiling: number;
  /** The level right after it. */
  start: number;
  /** The first round after it, in which the limit stands still: only then is it known whether that was enough. */
  holding: boolean;
  /** Rounds served in full since then. */
  rounds: number;
  readonly episode: Episode;
}

/** A decrease with those that follow because it was not enough. */
interface Episode {
  /** Undefined when calls were refused. */
  readonly trial?: Trial;
  readonly from: number;
  cuts: number;
  calls: number;
  refused: number;
  code: string;
}

/** Fewer calls than could be, to see whether they have waited in a queue, and what to go back to if they have not. */
interface Trial {
  readonly queue: QueueTrial;
  readonly level: number;
  cut: Cut | undefined;
}

/** The calls of the present round. */
class Window {
  refused = 0;
  done = 0;
  /** The most that were out at a time. */
  peak = 0;
  readonly latencies: number[] = [];
}

/**
 * How many calls an API gets at a time, found out by calling it. It has no clock and no queue of its own.
 *
 * There is no limit until the API refuses a call or is found to queue. When it refuses, the limit falls, by a fifth and
 * at most to what was served of the calls that were out, stands still for a round, and falls again if that was not
 * enough: multiplicative decrease, once a round. When it queues, a {@link QueueTrial} says how many calls it works on.
 * From there the limit comes back on the curve of TCP CUBIC (RFC 9438): fast at first, flat around the level that was
 * too much, faster again when that holds no more. It rises only while it is used, and counts rounds of calls rather than
 * seconds, so the price of probing is a share of the calls.
 *
 * Two signals could mislead it, and for both what follows a decrease is the proof (the control by gradient of Netflix's
 * concurrency-limits and of Envoy trust theirs):
 * - Refusals that have nothing to do with how many calls are out: those that go on after a decrease are the background,
 *   and only clearly more than that is answered by a decrease.
 * - Latency that rises by itself, or that varies: when fewer calls are answered no faster they stood in no queue; the
 *   limit is given back, and the slower answers are the new normal.
 */
export class AdaptiveLimit {
  #level = Number.POSITIVE_INFINITY;
  #inFlight = 0;
  #begun: CallNumber = 0;
  #window = new Window();
  #cut: Cut | undefined;
  #usual = new UsualRefusals();
  /** When the API last showed that it was too much. */
  #lastSign = 0;
  #latency = new LatencyReference();
  #told: number | undefined;
  #lastEnd = Number.NEGATIVE_INFINITY;

  /** Calls that may be out at a time; infinite as long as nothing speaks against it. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#level + 0.5));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** A call goes out. @param now milliseconds of any clock that never goes back. */
  begin(now: number): CallNumber {
    if (this.#inFlight === 0 && now - this.#lastEnd > forgetAfterMs) this.#forget();
    this.#inFlight++;
    this.#window.peak = Math.max(this.#window.peak, this.#inFlight);
    return ++this.#begun;
  }

  /** A call is back. @returns what has become known by it, if that is worth telling. */
  end(call: CallNumber, outcome: CallOutcome, now: number): LimitChange | undefined {
    const used = this.#inFlight >= decrease * this.#level;
    this.#inFlight--;
    this.#lastEnd = now;
    if (outcome.kind === 'unknown') return undefined;
    const cut = this.#cut;
    if (cut && call <= cut.lastBegun) {
      if (outcome.kind === 'refused') this.#learnServed(cut);
      return undefined;
    }
    this.#window.done++;
    if (outcome.kind === 'refused') this.#refuse(outcome.code, now);
    else if (outcome.milliseconds !== undefined) this.#window.latencies.push(outcome.milliseconds);
    if (outcome.kind === 'served' && used && this.#cut && !this.#cut.holding) this.#grow(this.#cut);
    return this.#window.done >= this.#windowSize() ? this.#closeWindow(now) : undefined;
  }

  #windowSize(): number {
    return Math.max(leastWindow, Number.isFinite(this.#level) ? this.limit : this.#window.peak);
  }

  #forget(): void {
    this.#level = Number.POSITIVE_INFINITY;
    this.#cut = undefined;
    this.#window = new Window();
    this.#usual = new UsualRefusals();
    this.#latency = new LatencyReference();
    this.#told = undefined;
  }

  /** A call that had begun before the limit was lowered was refused too: so many fewer were served. */
  #learnServed(cut: Cut): void {
    cut.refused++;
    cut.episode.refused++;
    if (cut.episode.cuts > 1 || cut.episode.trial) return;
    cut.ceiling = ceilingOf(cut);
    this.#level = Math.max(1, Math.min(this.#level, cut.out - cut.refused));
    cut.start = this.#level;
  }

  #refuse(code: string, now: number): void {
    const window = this.#window;
    window.refused++;
    this.#lastSign = now;
    if (this.#cut?.holding) return this.#refuseInHold(this.#cut, code);
    const tolerated = toleratedShare * this.#windowSize();
    if (window.refused <= Math.max(tolerated, this.#usual.mostOf(window.done))) return;
    const out = this.#inFlight + window.refused;
    const from = Math.min(this.limit, out);
    const episode: Episode = { from, cuts: 1, calls: out, refused: window.refused, code };
    const cut = this.#cutOf(episode, out, window.refused);
    cut.ceiling = ceilingOf(cut);
    this.#lower(cut, Math.min(Math.round(decrease * out), out - window.refused));
  }

  /** Right after a decrease some are still to be expected, and the limit does not move for them. */
  #refuseInHold(cut: Cut, code: string): void {
    const { done, refused } = this.#window;
    if (refused <= this.#usual.mostAfterDecrease(done)) return;
    const { episode } = cut;
    episode.calls += done;
    episode.refused += refused;
    episode.code = code;
    this.#cutAgain(cut);
  }

  #cutOf(episode: Episode, out: number, refused: number): Cut {
    const lastBegun = this.#begun;
    return { episode, lastBegun, out, refused, ceiling: out, start: 0, holding: true, rounds: 0 };
  }

  /** The decrease was not enough. The level to come back to stays: the way there will show whether it is still good. */
  #cutAgain({ episode, ceiling }: Cut, share = decrease): void {
    episode.cuts++;
    const cut = { ...this.#cutOf(episode, this.#inFlight, 0), ceiling };
    this.#lower(cut, Math.min(Math.round(share * this.#level), this.#level - 1));
  }

  #tryFewer(before: Latency, peak: number): void {
    const from = Math.min(this.limit, peak);
    const queue = new QueueTrial(this.#latency, from, before);
    const trial = { queue, level: this.#level, cut: this.#cut };
    const episode: Episode = { trial, from, cuts: 1, calls: 0, refused: 0, code: '' };
    this.#lower(this.#cutOf(episode, from, 0), Math.round(from / 2));
  }

  #lower(cut: Cut, level: number): void {
    this.#level = Math.max(1, level);
    cut.start = this.#level;
    this.#cut = cut;
    this.#window = new Window();
  }

  #grow(cut: Cut): void {
    cut.rounds += 1 / this.#level;
    const rounds = Math.max(roundsToCeiling, callsToCeiling / cut.ceiling);
    const way = (cut.rounds - rounds) / rounds;
    const span = way < 0 ? cut.ceiling - cut.start : probe * cut.ceiling;
    this.#level = cut.ceiling + span * way ** 3;
  }

  #closeWindow(now: number): LimitChange | undefined {
    const window = this.#window;
    const cut = this.#cut;
    this.#window = new Window();
    this.#window.peak = this.#inFlight;
    if (cut?.holding) {
      this.#usual.learn(window.done, window.refused);
      return this.#endHold(cut, window.latencies, now);
    }
    const isFree = window.peak < decrease * this.#level;
    const latency = this.#latency.look(window.latencies, isFree);
    if (latency) this.#tryFewer(latency, window.peak);
    else if (cut) return this.#tellGrowth(cut, now);
    return undefined;
  }

  #endHold(cut: Cut, latencies: readonly number[], now: number): LimitChange | undefined {
    const { episode } = cut;
    if (episode.trial) {
      const next = episode.trial.queue.next(latencies);
      if (next === 'back') this.#goBack(episode.trial);
      if (next === 'half') this.#cutAgain(cut, 1 / 2);
      if (typeof next === 'string') return undefined;
      cut.ceiling = cut.start = this.#level = Math.max(1, next);
      // Nothing goes back there any more: else each would hold on to all before it.
      episode.trial.cut = undefined;
      this.#lastSign = now;
    }
    cut.holding = false;
    const to = episode.cuts === 1 && !episode.trial ? cut.ceiling : this.limit;
    return this.#tell(episode.from, to, reasonOf(episode, this.#latency.best));
  }

  #goBack({ level, cut }: Trial): void {
    this.#level = level;
    this.#cut = cut;
  }

  #tellGrowth({ episode }: Cut, now: number): LimitChange | undefined {
    if (this.#told === undefined || this.limit <= this.#told) return undefined;
    const quiet = Math.round((now - this.#lastSign) / 1000);
    const what = episode.trial ? 'there was no queue' : 'nothing was refused';
    return this.#tell(this.#told, this.limit, `${what} for ${quiet} s`);
  }

  #tell(first: number, to: number, reason: string): LimitChange | undefined {
    const from = this.#told ?? first;
    if (Math.abs(to - from) <= toldShare * from) return undefined;
    this.#told = to;
    return { from, to, reason };
  }
}

/** What was served of the calls that were out. When that is next to nothing the API was away, and it says nothing. */
function ceilingOf({ out, refused }: Cut): number {
  const served = out - refused;
  return Math.max(1, served < out / 10 ? out : served);
}

function reasonOf({ trial, code, refused, calls }: Episode, best: number): string {
  if (!trial) return `${code} for ${refused} of ${calls} calls`;
  const { median } = trial.queue;
  return `answers took ${Math.round(median)} ms, ${(median / best).toFixed(1)} × the best`;
}
