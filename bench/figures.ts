import { median } from './median.ts';

/** What was seen of several runs. Times in seconds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The other engine beside ours, on the same data of the same server. */
export interface Peer {
  /** Its name and version. */
  readonly name: string;
  /** How it was set up. */
  readonly settings: string;
  readonly seconds: number;
  readonly maxRssMb: number | null;
}

/** How far a piece of work is from what could be reached. Times in seconds. */
export interface Figures {
  readonly limitSeconds: number;
  /** The median of the runs. */
  readonly seconds: number;
  /** `seconds` to `limitSeconds`, unless the row says otherwise. */
  readonly ratio: number;
  readonly runs: readonly number[];
  readonly spread: Spread;
  /** The ways that the limit was looked for; the best of them is `limitSeconds`. */
  readonly limits: Readonly<Record<string, Spread>>;
  readonly peerSeconds?: number;
  readonly peer?: Peer;
  /** Our own step in a bare loop without an engine, where that was run. */
  readonly withoutEngine?: Spread;
  /** Why there is no peer. */
  readonly peerMissing?: string;
  /** The most memory that the worker had resident in any run, in MB. */
  readonly workerMaxRssMb?: number;
  /** Processor time of the run in the middle: of the worker, of PostgreSQL, of Temporal. */
  readonly cpuSeconds?: CpuSeconds;
}

/** Processor time, in seconds. */
export interface CpuSeconds {
  readonly worker: number;
  readonly database: number;
  readonly server: number;
}

/** One run, as it was seen from outside. */
export interface Observation {
  readonly seconds: number;
  readonly workerMaxRssMb: number | null;
  readonly cpuSeconds: CpuSeconds | null;
}

/**
 * The figures of a piece of work.
 * @param limits the runs of each way to look for the limit; the best median counts
 */
export function figuresOf(
  limits: Readonly<Record<string, readonly Observation[]>>,
  ours: readonly Observation[],
): Figures {
  const spreads = Object.fromEntries(
    Object.entries(limits).map(([way, runs]) => [way, spreadOf(runs.map(({ seconds }) => seconds))]),
  );
  const limitSeconds = Math.min(...Object.values(spreads).map((spread) => spread.median));
  const runs = ours.map(({ seconds }) => seconds);
  const seconds = rounded(median(runs));
  return {
    limitSeconds,
    seconds,
    ratio: rounded(seconds / limitSeconds),
    runs,
    spread: spreadOf(runs),
    limits: spreads,
    ...costOf(ours),
  };
}

/** What the step takes in a bare loop. */
export function loopOf(seen: readonly Observation[] = []): Pick<Figures, 'withoutEngine'> {
  return seen.length === 0 ? {} : { withoutEngine: spreadOf(seen.map(({ seconds }) => seconds)) };
}

/** Memory and processor time of the worker and of the servers over several runs. */
export function costOf(runs: readonly Observation[]): Pick<Figures, 'workerMaxRssMb' | 'cpuSeconds'> {
  const memory = runs.map(({ workerMaxRssMb }) => workerMaxRssMb).filter((mb) => mb !== null);
  const inOrder = runs.toSorted((a, b) => a.seconds - b.seconds);
  const cpuSeconds = inOrder[inOrder.length >> 1]?.cpuSeconds ?? undefined;
  return {
    ...(memory.length > 0 && { workerMaxRssMb: Math.max(...memory) }),
    ...(cpuSeconds !== undefined && { cpuSeconds }),
  };
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: rounded(median(values)), least: Math.min(...values), most: Math.max(...values) };
}

/** To the thousandth. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
