import { pbkdf2Sync } from 'node:crypto';
import { z } from 'zod';
import { chunks, chunkStep, defineJob, listReader, type RegisteredJob, registerJob } from 'keystride';

/** Numbers that each keep a processor busy for a while: what is left is the worker's processor. */
export const cpuBound = defineJob({
  name: 'cpuBound',
  description: 'Compute for a while with each number and write nothing',
  parameters: z.object({
    run: z.int(),
    items: z.int().min(1),
    /** Of the hash, for each number; 7,500 take about a millisecond. */
    rounds: z.int().min(1),
    partitions: z.int().min(1).max(64),
    window: z.int().min(1).max(64),
    chunkSize: z.int().min(1).default(100),
  }),
  steps: { compute: chunkStep() },
  policies: ({ partitions, window, chunkSize }) => ({ compute: { partitions, window, chunkSize } }),
});

export function createCpuBound(): RegisteredJob {
  return registerJob(cpuBound, {
    compute: ({ parameters: { items, rounds } }) =>
      chunks({
        reader: listReader(items, (index) => index + 1),
        processor: (number) => compute(number, rounds),
        writer: { write: () => Promise.resolve() },
      }),
  });
}

/** A slow hash: native code, which needs no warming up. */
function compute(number: number, rounds: number): string {
  return pbkdf2Sync(String(number), 'keystride', rounds, 32, 'sha256').toString('hex');
}
