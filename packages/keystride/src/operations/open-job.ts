import { Context } from '@temporalio/activity';
import type { DescribedInstance, OpenedJob, OpenJobRequest } from '../contract/activities.ts';
import { failure } from '../contract/errors.ts';
import { instanceKey, parseParameters } from '../contract/parameters.ts';
import { policiesOf } from '../contract/policies.ts';
import { redrive } from '../contract/redrive.ts';
import { type HashKey, sensitiveParameters, shownParameters } from '../contract/sensitive.ts';
import type { JobRegistry } from '../job/registry.ts';
import { claimInstance, type IsOpen } from '../ledger/claim.ts';
import { requireShown } from '../ledger/inspect.ts';
import { findInstance } from '../ledger/instance.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type AskedBy, startOf } from './enter-control.ts';
import { openRedrive } from './redrive.ts';
import { type InputOf, withSensitiveValues } from './sensitive-values.ts';

/** Whether Temporal knows of a run of that job, under that workflow id, that has completed. It throws when that cannot be asked. */
export type HasCompleted = (job: string, workflowId: string) => Promise<boolean>;

interface OpenResources {
  readonly registry: JobRegistry;
  readonly ledger: Ledger;
  readonly isOpen: IsOpen;
  readonly hasCompleted: HasCompleted;
  readonly inputOf: InputOf;
  readonly hashKey: HashKey;
  readonly hasSearchAttributes: () => Promise<boolean>;
  readonly askedBy: AskedBy;
}

/**
 * Validates the parameters of a job, claims its instance, and says with which policies it runs.
 *
 * @throws HiddenLedger, JobParametersInvalid, JobExecutionAlreadyRunning and whatever else refuses a claim.
 */
export async function openJob(resources: OpenResources, request: OpenJobRequest): Promise<OpenedJob> {
  await requireShown(resources.ledger);
  if (request.job === redrive.name)
    return openRedrive(resources, request, (of) => describeKnown(resources, of));
  const { instance, parameters, policies } = describeInstance(resources, request);
  const definition = resources.registry.definition(request.job);
  const { preventRestart = false, onFailure = 'fail', onBranchFailure = 'stop' } = definition;
  if (preventRestart && !request.carried) await refuseForgotten(resources, request, instance);
  const context = { parameters, instance, epoch: 0, log: Context.current().log };
  const seenElsewhere = (await resources.registry.hooks(request.job).highestEpoch?.(context)) ?? 0;
  const start = await startOf(resources, request);
  const shown = shownParameters(definition, parameters, resources.hashKey);
  const claiming = {
    ...request,
    instance,
    namespace: Context.current().info.workflowNamespace,
    parameters: shown,
    preventRestart,
    seenElsewhere,
    ...(start && { start }),
  };
  const claim = await claimInstance(resources.ledger, claiming, resources.isOpen);
  const searchAttributes = await resources.hasSearchAttributes();
  const prevented = preventRestart ? { preventRestart } : {};
  return {
    ...{ claim, parameters, policies, onFailure, ...prevented, onBranchFailure, searchAttributes },
    ...(sensitiveParameters(definition).size > 0 && { shown }),
  };
}

/**
 * Refuses what must not be restarted where the ledger has lost that it has completed: whoever starts it, a schedule or a
 * backfill as well.
 */
async function refuseForgotten(
  { ledger, hasCompleted }: OpenResources,
  { job, workflowId }: OpenJobRequest,
  instance: string,
): Promise<void> {
  const { status } = await findInstance(ledger, instance);
  if (status !== null) return;
  for (const id of new Set([instance, workflowId]))
    if (await hasCompleted(job, id))
      throw failure(
        'JobRestartRefused',
        `${instance} has completed, as workflow ${id}, and the ledger has lost that: it was restored, or failed over. ` +
          'Its job must not be restarted: look at what it has done',
      );
}

interface AskedInstance {
  readonly job: string;
  readonly parameters: unknown;
}

/** What `describeInstance` says of an instance that has run, whose sensitive parameters the caller may have as hashes alone. */
export async function describeKnown(
  resources: Pick<OpenResources, 'registry' | 'ledger' | 'hashKey' | 'inputOf'>,
  request: AskedInstance,
): Promise<DescribedInstance> {
  const definition = resources.registry.definition(request.job);
  const parameters = await withSensitiveValues(resources, definition, request.parameters);
  return describeInstance(resources, { ...request, parameters });
}

/** Validates the parameters and says what they name, without claiming anything. @throws JobParametersInvalid */
export function describeInstance(
  { registry, hashKey }: Pick<OpenResources, 'registry' | 'hashKey'>,
  request: AskedInstance,
): DescribedInstance {
  const definition = registry.definition(request.job);
  const parameters = parseParameters(definition, request.parameters);
  return {
    instance: instanceKey(definition, parameters, hashKey),
    parameters,
    policies: policiesOf(definition, parameters),
  };
}
