import { z } from 'zod';
import { defineJob, type InputOf, type JobDefinition, type StepPolicies } from './job.ts';

/**
 * Runs the items again that an instance has skipped: all that are open, or those of one cause, of one step, of some
 * keys. It has no steps of its own; it borrows those of the instance's job.
 */
export const redrive = defineJob({
  name: 'redrive',
  description: 'Run the skipped items of an instance again',
  parameters: z.object({
    instance: z.string().min(1).describe('the instance whose open skips are run again'),
    step: z.string().min(1).optional().describe('only those of this step'),
    fingerprint: z.string().min(1).optional().describe('only those of this cause'),
    keys: z.array(z.string()).min(1).max(1000).optional().describe('only these items'),
  }),
  steps: {},
});

/**
 * The redrive as its flow sees it: opening it has named the steps that have something to run again, which are those of the
 * instance's job.
 */
export type OpenedRedrive = JobDefinition<
  z.ZodObject<(typeof redrive)['parameters']['shape'] & { steps: z.ZodDefault<z.ZodArray<z.ZodString>> }>,
  StepPolicies
>;

/** What the workflow `redrive` takes. */
export type RedriveInput = InputOf<typeof redrive>;

/** The instance key of the redrive number `number` of an instance, from 1. */
export function redriveKey(instance: string, number: number): string {
  return `${instance}/redrive-${number}`;
}
