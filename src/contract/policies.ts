import type { JobDefinition } from './job.ts';
import type { StepPolicy } from './policy.ts';

/** The policies that a run with these parameters starts from. */
export function policiesOf(
  job: JobDefinition,
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, StepPolicy>> {
  const tuned = job.tune?.(parameters) ?? {};
  return Object.fromEntries(
    Object.entries(job.steps).map(([step, policy]): [string, StepPolicy] => [
      step,
      { ...policy, ...tuned[step] },
    ]),
  );
}
