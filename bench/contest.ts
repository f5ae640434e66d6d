import { emptyLedger, type Bench } from './bench.ts';
import { rounded, type CpuSeconds, type Observation } from './figures.ts';
import { cpuSecondsOf, forgetPeak, peakMb } from './processes.ts';

/** The same work done in several ways. */
export interface Contest<Way extends string> {
  /** Puts everything back to where each way begins, with nothing left to be written by the server afterwards. */
  prepare(): Promise<void>;
  /** @throws Error when the work is not done as it should be: a time says nothing about work that was not done */
  check(): Promise<void>;
  readonly ways: Readonly<Record<Way, (round: number) => Promise<unknown>>>;
}

/**
 * Lets the ways take turns, so that a slow minute of the machine meets them all, each round in another order, so that none
 * is always the first.
 * @returns the runs of each way
 * @throws as `check`
 */
export async function inRounds<Way extends string>(
  bench: Bench,
  rounds: number,
  { prepare, check, ways }: Contest<Way>,
): Promise<Record<Way, Observation[]>> {
  const names = Object.keys(ways) as Way[];
  const seen = Object.fromEntries(names.map((name) => [name, [] as Observation[]])) as Record<
    Way,
    Observation[]
  >;
  for (let round = 1; round <= rounds; round++) {
    for (const name of rotated(names, round - 1)) {
      await emptyLedger(bench);
      await prepare();
      const observation = await observed(bench, () => ways[name](round));
      await check();
      seen[name].push(observation);
      bench.note(`  round ${round}  ${name.padEnd(24)} ${observation.seconds.toFixed(3)} s`);
    }
  }
  return seen;
}

/** Does it once in one way without looking at the time: a process compiles its code in its first run. */
export async function warmUp<Way extends string>(
  bench: Bench,
  { prepare, ways }: Pick<Contest<Way>, 'prepare' | 'ways'>,
  way: Way,
): Promise<void> {
  await emptyLedger(bench);
  await prepare();
  await ways[way](0);
}

/** What a piece of work takes. */
export async function observed(
  { pids }: Pick<Bench, 'pids'>,
  work: () => Promise<unknown>,
): Promise<Observation> {
  forgetPeak(pids.worker);
  const cpuBefore = cpuOf(pids);
  const before = performance.now();
  await work();
  const seconds = rounded((performance.now() - before) / 1000);
  const cpuAfter = cpuOf(pids);
  return { seconds, workerMaxRssMb: peakMb(pids.worker), cpuSeconds: difference(cpuBefore, cpuAfter) };
}

function cpuOf({ worker, database, server }: Bench['pids']): CpuSeconds | null {
  const [ofWorker, ofDatabase, ofServer] = [worker, database, server].map(cpuSecondsOf);
  if (ofWorker == null || ofDatabase == null || ofServer == null) return null;
  return { worker: ofWorker, database: ofDatabase, server: ofServer };
}

function difference(before: CpuSeconds | null, after: CpuSeconds | null): CpuSeconds | null {
  if (before === null || after === null) return null;
  return {
    worker: rounded(after.worker - before.worker),
    database: rounded(after.database - before.database),
    server: rounded(after.server - before.server),
  };
}

function rotated<Value>(values: readonly Value[], by: number): Value[] {
  const first = by % Math.max(1, values.length);
  return [...values.slice(first), ...values.slice(0, first)];
}
