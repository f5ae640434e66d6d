import type { Bench } from './bench.ts';
import type { Key } from './keys.ts';
import type { Request, Results } from './request.ts';
import { measureEncryption } from './rows/encryption.ts';
import { measureIdle } from './rows/idle.ts';
import { measureLog } from './rows/log.ts';
import { measureMany } from './rows/many.ts';
import { measureMedication } from './rows/measure-medication.ts';
import { measureMigration } from './rows/migration.ts';
import { measureNoop } from './rows/measure-noop.ts';
import { measureOrders } from './rows/measure-orders.ts';
import { measureStart } from './rows/start.ts';
import { measureSync } from './rows/measure-sync.ts';
import { measureVerifyDocuments } from './rows/verify-documents.ts';
import { measureVerify } from './rows/verify.ts';

/** Measurements that share their tables, and so one function. */
interface Group {
  readonly keys: readonly Key[];
  /** About what it takes with three runs on two cores, in seconds. */
  readonly seconds: number;
  measure(bench: Bench, request: Request): Promise<Results>;
}

/** What may be left out comes last. */
export const groups: readonly Group[] = [
  { keys: ['start'], seconds: 20, measure: measureStart },
  { keys: ['purchase', 'growth', 'history'], seconds: 75, measure: measureOrders },
  { keys: ['noop'], seconds: 150, measure: measureNoop },
  { keys: ['many'], seconds: 120, measure: measureMany },
  { keys: ['encryption'], seconds: 70, measure: measureEncryption },
  { keys: ['migration', 'migrationWithFailures'], seconds: 70, measure: measureMigration },
  { keys: ['sync'], seconds: 80, measure: measureSync },
  { keys: ['verify'], seconds: 40, measure: measureVerify },
  { keys: ['verifyDocuments'], seconds: 60, measure: measureVerifyDocuments },
  { keys: ['log', 'logCopy', 'logRows', 'logLarge'], seconds: 300, measure: measureLog },
  { keys: ['medicationSet', 'medicationItems'], seconds: 120, measure: measureMedication },
  { keys: ['idle', 'idleSync'], seconds: 180, measure: measureIdle },
];

/** What was measured, and what there was no time for. */
export interface Outcome {
  readonly results: Results;
  readonly leftOut: readonly Key[];
}

/**
 * Measures what is asked for, one group after another, each with a worker that has done nothing yet.
 * @param withinSeconds a group that would take longer than what is left of this time is left out
 * @throws Error when some work is not done as it should be
 */
export async function measureAll(
  bench: Bench,
  request: Request,
  withinSeconds = Number.POSITIVE_INFINITY,
): Promise<Outcome> {
  const results: Results = {};
  const leftOut: Key[] = [];
  const began = performance.now();
  let planned = 0;
  for (const { keys, seconds, measure } of groups) {
    const asked = keys.filter((key) => request.keys.has(key));
    if (asked.length === 0) continue;
    const elapsed = (performance.now() - began) / 1000;
    // A slow machine takes for the next group as much more as it has taken for those before.
    const pace = planned === 0 ? 1 : elapsed / planned;
    if (elapsed + seconds * pace > withinSeconds) {
      leftOut.push(...asked);
      continue;
    }
    planned += seconds;
    bench.note(asked.join(', '));
    await bench.freshWorker();
    Object.assign(results, await measure(bench, { ...request, keys: new Set(asked) }));
  }
  return { results, leftOut };
}
