import { AdaptiveLimit } from '../../packages/keystride/src/stores/http/adaptive-limit.ts';

/** An API as a function of the time, and those who call it. Times are in milliseconds unless they say otherwise. */
export interface ApiScript {
  /** Calls that it takes at a time. */
  readonly capacity: (now: number) => number;
  readonly latency: (now: number) => number;
  /** How many times that a call takes, by a number from 0 to 1. @default a tenth more or less */
  readonly spread?: (chance: number) => number;
  /** What it does with a call above its capacity: refuses it after so long, or lets it wait. @default 2 */
  readonly above?: number | 'queue';
  /** The share of calls that it refuses whatever it has to do. @default 0 */
  readonly noise?: number;
  /** Processes that call it, each with a limit of its own. @default 1 */
  readonly callers?: number;
  /** Items that a caller has in hand at a time, those that were asked to come back included. @default 250 */
  readonly concurrency?: number;
  /** Whether callers find their limits; without, they call with all that they have. @default true */
  readonly adaptive?: boolean;
  readonly seconds: number;
  /** Seconds that are not counted. */
  readonly warmUp: number;
}

/** What came of it after the warm-up. */
export interface Observed {
  readonly servedPerSecond: number;
  readonly refusedShare: number;
  /** Calls served, by caller. */
  readonly served: readonly number[];
  /** The limit of the first caller at each whole second, from 1. */
  readonly limits: readonly number[];
}

/** An API refused: it asked to come back after a second. */
const retryAfter = 1_000;

/** Calls an API for some seconds of a simulated clock. Nothing is left to chance: the same script gives the same result. */
export function simulate(script: ApiScript): Observed {
  return new Simulation(script).run();
}

interface Event {
  readonly at: number;
  readonly happen: () => void;
}

interface Caller {
  readonly limit: AdaptiveLimit;
  inHand: number;
  comingBack: number;
  served: number;
  refused: number;
}

class Simulation {
  readonly #script: ApiScript;
  readonly #events: Event[] = [];
  readonly #callers: readonly Caller[];
  readonly #queue: (() => void)[] = [];
  readonly #limits: number[] = [];
  #now = 0;
  #taken = 0;
  #random = 1;

  constructor(script: ApiScript) {
    this.#script = script;
    this.#callers = Array.from({ length: script.callers ?? 1 }, () => ({
      limit: new AdaptiveLimit(),
      ...{ inHand: 0, comingBack: 0, served: 0, refused: 0 },
    }));
  }

  run(): Observed {
    const { seconds, warmUp } = this.#script;
    for (const [place, caller] of this.#callers.entries()) this.#after(place * 300, () => this.#call(caller));
    for (let second = 1; second <= seconds; second++)
      this.#after(second * 1000, () => void this.#limits.push(this.#callers[0]?.limit.limit ?? 0));
    this.#after(warmUp * 1000, () => {
      for (const caller of this.#callers) Object.assign(caller, { served: 0, refused: 0 });
    });
    for (let next = this.#next(); next && next.at <= seconds * 1000; next = this.#next()) {
      this.#now = next.at;
      next.happen();
    }
    const served = this.#callers.map((caller) => caller.served);
    const sum = served.reduce((a, b) => a + b, 0);
    const refused = this.#callers.reduce((all, caller) => all + caller.refused, 0);
    const limits = this.#limits;
    return {
      servedPerSecond: sum / (seconds - warmUp),
      refusedShare: refused / (sum + refused),
      served,
      limits,
    };
  }

  #call(caller: Caller): void {
    const { concurrency = 250, adaptive = true } = this.#script;
    const { limit } = caller;
    while (limit.inFlight < (adaptive ? limit.limit : Number.POSITIVE_INFINITY)) {
      if (caller.comingBack > 0) caller.comingBack--;
      else if (caller.inHand < concurrency) caller.inHand++;
      else return;
      this.#arrive(caller, limit.begin(this.#now), this.#now);
    }
  }

  #arrive(caller: Caller, call: number, begun: number): void {
    const { above = 2, noise = 0, capacity } = this.#script;
    const serve = () => this.#serve(caller, call, begun);
    if (this.#chance() < noise) this.#refuse(caller, call, 2);
    else if (this.#taken < capacity(this.#now)) serve();
    else if (above === 'queue') this.#queue.push(serve);
    else this.#refuse(caller, call, above);
  }

  #serve(caller: Caller, call: number, begun: number): void {
    this.#taken++;
    const { latency, spread = (chance) => 0.9 + 0.2 * chance } = this.#script;
    this.#after(latency(this.#now) * spread(this.#chance()), () => {
      this.#taken--;
      while (this.#taken < this.#script.capacity(this.#now) && this.#queue.length > 0)
        this.#queue.shift()?.();
      caller.limit.end(call, { kind: 'served', milliseconds: this.#now - begun }, this.#now);
      caller.served++;
      caller.inHand--;
      this.#call(caller);
    });
  }

  #refuse(caller: Caller, call: number, after: number): void {
    this.#after(after, () => {
      caller.limit.end(call, { kind: 'refused', code: 'HTTP 429' }, this.#now);
      caller.refused++;
      this.#after(retryAfter * (1 + this.#chance() / 4), () => {
        caller.comingBack++;
        this.#call(caller);
      });
      this.#call(caller);
    });
  }

  #after(milliseconds: number, happen: () => void): void {
    const event = { at: this.#now + milliseconds, happen };
    let [low, high] = [0, this.#events.length];
    // Kept in reverse, so that the next one is at the end.
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.at ?? 0) > event.at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  #next(): Event | undefined {
    return this.#events.pop();
  }

  /** A number from 0 to 1, the same ones in each run. */
  #chance(): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#random / 2 ** 32;
  }
}
