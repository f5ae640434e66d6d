import { z } from 'zod';
import { chunkStep, defineJob } from 'keystride';

const size = (most: number, usual: number) =>
  z.int().min(1).max(most).default(usual).meta({ identifying: false });

/** Reads the targets of documentMigration and writes nothing: what is left is the engine. */
export const noopTargets = defineJob({
  name: 'noopTargets',
  description: 'Read every target, write nothing',
  parameters: z.object({
    run: z.int().default(1),
    chunkSize: size(10_000, 1000),
    partitions: size(64, 1),
    pageSeconds: z.number().min(0.1).default(10).meta({ identifying: false }),
  }),
  steps: { read: chunkStep() },
  policies: ({ chunkSize, partitions, pageSeconds }) => ({ read: { chunkSize, partitions, pageSeconds } }),
});

/** Items from memory, written nowhere: the cost of the engine alone. */
export const noopItems = defineJob({
  name: 'noopItems',
  description: 'Items from memory, written nowhere',
  parameters: z.object({
    run: z.int().default(1),
    items: z.int().min(0),
    chunkSize: size(10_000, 1000),
    partitions: size(64, 1),
  }),
  steps: { pass: chunkStep() },
  policies: ({ chunkSize, partitions }) => ({ pass: { chunkSize, partitions } }),
});

const scripted = z.object({
  run: z.int().default(1),
  items: z.int().min(0),
  /** Every so-manieth item is skipped, the first one among them; 0 for none. */
  skipEvery: z.int().min(0).default(0),
  skipLimit: z.int().min(0).default(0).meta({ identifying: false }),
  itemMilliseconds: z.int().min(0).default(0).meta({ identifying: false }),
  chunkSize: size(10_000, 10),
  partitions: size(64, 1),
  window: size(64, 8),
  pageSeconds: z.number().min(0.1).default(10).meta({ identifying: false }),
});

/** A script as the steps see it. */
export type ItemScript = z.output<typeof scripted>;

const scriptedPolicies = ({ skipLimit, chunkSize, partitions, window, pageSeconds }: ItemScript) => ({
  pass: { skipLimit, chunkSize, partitions, window, pageSeconds, concurrency: window },
});

/** Items from memory that fail, and take their time, as told. */
export const scriptedItems = defineJob({
  name: 'scriptedItems',
  description: 'Items from memory, some of them skipped, each taking its time',
  parameters: scripted,
  steps: { pass: chunkStep() },
  policies: scriptedPolicies,
});

/** The job above, run by this one: several times in a row, or once beside a step of its own. */
export const nestedItems = defineJob({
  name: 'nestedItems',
  description: 'Jobs within a job, over items from memory',
  parameters: scripted.extend({
    /** How often in a row; 0 for once, beside a step. */
    inARow: z.int().min(0).default(0),
  }),
  steps: { pass: chunkStep() },
  policies: scriptedPolicies,
});

/** Adds one to the member of every second target, by statement: what is done twice shows. */
export const incrementTargets = defineJob({
  name: 'incrementTargets',
  description: 'Adds one to the member of every second target, as a set step',
  parameters: z.object({
    run: z.int().default(1),
    chunkSize: size(10_000, 100),
    partitions: size(64, 1),
    pageSeconds: z.number().min(0.1).default(10).meta({ identifying: false }),
    /** What each statement waits. */
    seconds: z.number().min(0).default(0).meta({ identifying: false }),
  }),
  steps: { increment: chunkStep() },
  policies: ({ chunkSize, partitions, pageSeconds }) => ({
    increment: { chunkSize, partitions, pageSeconds },
  }),
});
