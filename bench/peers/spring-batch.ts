import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Bench } from '../bench.ts';
import type { Peer } from '../figures.ts';
import { builtPeer } from './build.ts';

const execute = promisify(execFile);

/** Which of its jobs, and how. */
export interface SpringBatchRun {
  readonly job: 'purchase' | 'medication' | 'documentMigration' | 'noop';
  readonly parameters?: Readonly<Record<string, string>>;
  /** Its settings; `spring-batch/README.md` lists them. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The times of a run: of the job alone, and of the process that ran it, its start included. */
export interface SpringBatchPeer extends Peer {
  readonly processSeconds: number;
}

const report = z.object({
  peer: z.string(),
  status: z.string(),
  jobSeconds: z.number(),
  processSeconds: z.number(),
  maxRssMb: z.number().nullable(),
});

/**
 * Runs a job of Spring Batch on the stack's databases.
 * @throws NoPeer when it cannot be built here; Error when the job fails
 */
export async function springBatch(
  { config, note }: Bench,
  { job, parameters = {}, environment = {} }: SpringBatchRun,
): Promise<SpringBatchPeer> {
  const place = await builtPeer({ folder: 'spring-batch', build: ['./build.sh'], needs: ['bash'] }, note);
  const given = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  const { stdout } = await execute(path.join(place, 'run.sh'), [job, ...given], {
    env: {
      ...process.env,
      DATABASE_URL: config.databaseUrl,
      MONGODB_URL: config.mongodbUrl,
      LEGACY_API_URL: config.legacyApiUrl,
      ...environment,
    },
    timeout: 600_000,
    maxBuffer: 2 ** 26,
  });
  const { peer, status, jobSeconds, processSeconds, maxRssMb } = report.parse(JSON.parse(stdout));
  if (status !== 'COMPLETED') throw new Error(`${peer} ${job} ended ${status}`);
  const how = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return {
    name: peer,
    settings: how.join(' '),
    seconds: jobSeconds,
    processSeconds,
    maxRssMb: maxRssMb === null ? null : Math.round(maxRssMb),
  };
}
