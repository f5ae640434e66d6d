import { setTimeout as delay } from 'node:timers/promises';
import { classifyMongo } from '../stores/mongo/errors.ts';
import { classifyPostgres } from '../stores/postgres/errors.ts';

/** How long prove asks its own servers again, in milliseconds: one that was killed comes back, a busy machine goes on. */
const patienceMs = 60_000;

const pauseMs = 500;

/**
 * Does what prove itself asks of a database: the faults are the job's to survive, and must not end who judges it. Where
 * the connection is lost, or none is to be had in time, it is done anew, for a minute.
 *
 * @param work opens a connection of its own, and may be done twice.
 * @throws what it threw last
 */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const found = classifyPostgres(error) ?? classifyMongo(error);
      if (found?.decision !== 'retry' || performance.now() > until) throw error;
      await delay(pauseMs);
    }
  }
}
