import { setFlagsFromString } from 'node:v8';

/**
 * How a worker's memory is kept bounded. Rows that pass through a process are garbage at once, and V8 lets as much of it
 * lie about as seems free: hundreds of megabytes that nobody needs. What is set here halves that, and is paid for with
 * processor time of the worker, see docs/scaling.md.
 */

/** A heap may grow by this much over what is live in it before all of it is cleaned up, in percent. */
const heapGrowthPercent = 80;

/** Half of the young part of the main heap, in MB: large enough for the chunks in hand. */
const youngMb = 8;

/** The same of the workflows' heap: they do little, and leave little. */
const workflowsYoungMb = 2;

/** The environment of a worker's process, with what has to be known when it begins. What was set there already holds. */
export function withBoundedMemory(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...environment,
    // Of an option that is there twice the last one holds.
    NODE_OPTIONS: [`--max-semi-space-size=${youngMb}`, environment['NODE_OPTIONS'] ?? ''].join(' ').trim(),
    // glibc: each thread of Temporal's core would get an arena of its own, and what is free at an arena's end be kept.
    MALLOC_ARENA_MAX: environment['MALLOC_ARENA_MAX'] ?? '2',
    MALLOC_TRIM_THRESHOLD_: environment['MALLOC_TRIM_THRESHOLD_'] ?? '131072',
  };
}

/** Sets what can be set in a process that runs; call it before the thread of the workflows is there. */
export function boundHeaps(): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
  setFlagsFromString(`--max-semi-space-size=${workflowsYoungMb}`);
}
