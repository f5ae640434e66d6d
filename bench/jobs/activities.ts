import { chunks, listReader, type RegisteredJob, registerJob } from 'keystride';
import { noop } from './contract.ts';
import { createCpuBound } from './cpu-bound.ts';

/** The jobs that exist for measurements alone. */
export function createBenchJobs(): RegisteredJob[] {
  return [
    createCpuBound(),
    registerJob(noop, {
      pass: ({ parameters }) =>
        chunks({
          reader: listReader(parameters.items, (index) => index + 1),
          processor: (number) => number,
          writer: { write: () => Promise.resolve() },
        }),
    }),
  ];
}
