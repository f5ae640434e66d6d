import { chunks } from '../../packages/keystride/src/job/chunks.ts';
import { type RegisteredJob, registerJob } from '../../packages/keystride/src/job/registry.ts';
import { listReader } from '../../packages/keystride/src/stores/list/list-reader.ts';
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
