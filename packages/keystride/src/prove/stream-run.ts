import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { messages } from '../contract/messages.ts';
import type { SyncStart } from '../contract/sync.ts';
import { hasPassed, type LogPlace, readLogPlace } from '../ledger/log.ts';
import { readResult } from '../ledger/offset.ts';
import { positionOf } from '../stores/postgres/log-position.ts';
import type { FaultSchedule } from '../page/fault-points.ts';
import { visit, withClient } from './copies.ts';
import type { FaultPlace, PlannedFault } from './plan.ts';
import { writeToTables } from './stream-writer.ts';
import { longestFreezeMs, victimOf } from './workers.ts';

/** How often it is looked where a stream stands, in milliseconds. */
const lookMs = 300;

/** So long its source is written to at least, once it is followed, and, where faults do not come, at most. */
const leastWritingMs = 4_000;
const longestWritingMs = 30_000;

/** What a killed worker takes to have its effect, in milliseconds. */
const deathMs = 2_000;

/** A run that follows a log, and its databases. */
export interface FollowedRun {
  readonly instance: string;
  readonly handle: WorkflowHandle;
  readonly sourceUrl: string;
  readonly databaseUrl: string;
  /** Decides what is written. */
  readonly seed: number;
  /** Milliseconds since the last of the faults; null while some are to come. */
  readonly struckFor: () => number | null;
  /** How long they take to have their effect, in milliseconds. */
  readonly effectMs: number;
}

/**
 * Writes to the source of a run from the moment on at which it knows its tables, while they are copied and then followed,
 * until the faults have happened; waits until all of that has arrived, and stops the run.
 *
 * @param ended the run has ended by itself.
 */
export async function writeAndStop(run: FollowedRun, ended: AbortSignal): Promise<void> {
  await until(run, ended, ({ state }) => state !== null);
  await writeUntil(
    run,
    ended,
    async (signal) => void (await until(run, signal, ({ state }) => state?.copied === true)),
  );
  // While keys change that take large values along, a sink does not come to be of one moment.
  await until(run, ended, (place) => hasPassed(place));
  const from = performance.now();
  await writeUntil(run, ended, async (signal) => {
    for (let written = 0; written < longestWritingMs && !signal.aborted; written = performance.now() - from) {
      await delay(lookMs);
      if (written >= leastWritingMs && (run.struckFor() ?? -1) >= run.effectMs) return;
    }
  });
  const last = await withClient(run.sourceUrl, async (client) => {
    const { rows } = await client.query<{ place: string }>(
      'SELECT pg_current_wal_insert_lsn()::text AS place',
    );
    return positionOf(rows[0]?.place ?? '0/0');
  });
  await until(run, ended, (place) => hasPassed(place, last));
  while (!ended.aborted) {
    const isTaken = await run.handle
      .executeUpdate(messages.stop, { args: [{ reason: 'all has arrived' }] })
      .then(
        () => true,
        () => false,
      );
    if (isTaken) return;
    await delay(lookMs);
  }
}

/** Writes to the tables of a run until something has come about, or the run has ended. */
async function writeUntil(
  run: FollowedRun,
  ended: AbortSignal,
  comesAbout: (ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const place = await streamOf(run.databaseUrl, run.instance);
  if (!place?.state || ended.aborted) return;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ended]);
  const writing = writeToTables(run.sourceUrl, place.state.tables, { seed: run.seed + place.moves, signal });
  try {
    await Promise.race([comesAbout(ended), writing]);
  } finally {
    stop.abort();
    await writing;
  }
}

/** Looks where the stream of a run stands until it is as wanted. @returns undefined when the run has ended before */
async function until(
  { databaseUrl, instance }: Pick<FollowedRun, 'databaseUrl' | 'instance'>,
  ended: AbortSignal,
  isWanted: (place: LogPlace) => boolean,
): Promise<LogPlace | undefined> {
  while (!ended.aborted) {
    const place = await streamOf(databaseUrl, instance);
    if (place && isWanted(place)) return place;
    await delay(lookMs);
  }
  return undefined;
}

/** Where the stream of a run stands; null before it has begun. */
export function streamOf(databaseUrl: string, instance: string): Promise<LogPlace | null> {
  return visit(databaseUrl, async (ledger) => {
    const start = (await readResult(ledger, { instance, step: 'begin' })) as SyncStart | null;
    return start && readLogPlace(ledger, start.stream);
  });
}

/** When the faults of a run have happened, and how long they take to have their effect. */
export function strokesOf(
  { directory, faults: suffered }: FaultSchedule,
  all: readonly PlannedFault[],
  happened: ReadonlyMap<FaultPlace, number>,
): Pick<FollowedRun, 'struckFor' | 'effectMs'> {
  const others = all.length - suffered.length;
  let struckAt: number | undefined;
  return {
    effectMs: suffered.some(({ signal }) => signal === 'SIGSTOP') ? longestFreezeMs : deathMs,
    struckFor: () => {
      const isAll =
        suffered.every(({ id }) => victimOf(directory, id) !== undefined) &&
        [...happened.values()].reduce((sum, count) => sum + count, 0) >= others;
      if (isAll) struckAt ??= performance.now();
      return struckAt === undefined ? null : performance.now() - struckAt;
    },
  };
}
