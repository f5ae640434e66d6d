import { failure } from './errors.ts';
import type { JobDefinition } from './job.ts';
import type { StepPolicy } from './policy.ts';
import { wrongQuietHours } from './quiet-hours.ts';

/**
 * The policies that a run with these parameters starts from.
 *
 * @throws JobParametersInvalid for quiet hours that no clock shows: parameters may have a say in them.
 */
export function policiesOf(
  job: JobDefinition,
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, StepPolicy>> {
  const changed = job.policies?.(parameters) ?? {};
  return Object.fromEntries(
    Object.entries(job.steps).map(([step, policy]): [string, StepPolicy] => {
      const settled = { ...policy, ...changed[step] };
      refuseWrongHours(`${job.name} step ${step}`, settled);
      return [step, settled];
    }),
  );
}

function refuseWrongHours(where: string, policy: StepPolicy): void {
  const hours = (policy.kind === 'chunk' ? policy.quietHours : undefined) ?? [];
  const wrong = hours.map(wrongQuietHours).find((problem) => problem !== undefined);
  if (wrong !== undefined)
    throw failure('JobParametersInvalid', `${where}: its quiet hours are not understood: ${wrong}.`);
}
