import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Bench } from './bench.ts';
import type { TestWorker } from '../test/support/worker-process.ts';

/** What faults happen to. */
export interface Victims {
  readonly bench: Bench;
  /** The database that jobs write to. */
  readonly database: pg.Pool;
  /** A worker beside the one that is watched. */
  readonly second: TestWorker;
}

/** One fault a round, by turns. None of them may fail a run, lose a row or do one twice. */
export const faults = {
  none: () => Promise.resolve(),
  connectionsCut: ({ database }: Victims) =>
    database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'keystride%' and pid <> pg_backend_pid()`,
    ),
  workerKilled: async ({ second }: Victims) => {
    await second.kill();
    await second.restart();
  },
  databaseRestarted: async ({ bench }: Victims) => {
    const { postgres } = bench.stack.parts;
    // In an orderly way: a crash would also reset what the server has counted of dead tuples.
    await postgres.stop();
    await postgres.restart();
  },
  temporalRestarted: ({ bench }: Victims) => bench.stack.parts.temporal.restart(),
} as const;

/** The name of a fault. */
export type Fault = keyof typeof faults;

/** Until the runs of a round have begun to commit, in milliseconds. */
const untilUnderWay = 400;

/** The fault of a round, in the midst of its runs. */
export async function faultOf(round: number, victims: Victims): Promise<Fault> {
  const names = Object.keys(faults) as Fault[];
  const fault = names[round % names.length] ?? 'none';
  await delay(untilUnderWay);
  await faults[fault](victims);
  return fault;
}
