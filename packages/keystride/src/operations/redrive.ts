import { Context } from '@temporalio/activity';
import type { Claim, RedrivenInstance } from '../contract/claim.ts';
import type { DescribedInstance, OpenedJob, OpenJobRequest } from '../contract/activities.ts';
import { failure } from '../contract/errors.ts';
import type { ParametersOf } from '../contract/job.ts';
import { parseParameters } from '../contract/parameters.ts';
import type { ChunkPolicy, StepPolicy } from '../contract/policy.ts';
import { redrive } from '../contract/redrive.ts';
import type { StepContext } from '../job/chunks.ts';
import { claimInstance, type IsOpen } from '../ledger/claim.ts';
import { claimRedrive, findOriginal, stepsWithSkips } from '../ledger/redrive-claim.ts';
import { readLedger } from '../ledger/hold-claim.ts';
import { countTaken } from '../ledger/redriven-skips.ts';
import { type AskedBy, startOf } from './enter-control.ts';
import { workOfRedrive } from './redriven-work.ts';
import type { JobRegistry } from '../job/registry.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import type { Ledger } from '../ledger/ledger.ts';

interface RedriveResources {
  readonly registry: JobRegistry;
  readonly ledger: Ledger;
  readonly isOpen: IsOpen;
  readonly hasSearchAttributes: () => Promise<boolean>;
  readonly askedBy: AskedBy;
}

/** Validates the parameters of an instance and says with which policies it runs. */
type Describe = (of: { readonly job: string; readonly parameters: unknown }) => Promise<DescribedInstance>;

/**
 * Opens a redrive: takes the open skips that are asked for, and borrows the steps of the instance's job, with its
 * parameters and policies.
 *
 * @returns in its parameters, `steps`: those to run, in the order of the job's contract.
 * @throws JobParametersInvalid, JobExecutionAlreadyRunning, NothingToRedrive, RedriveRefused.
 */
export async function openRedrive(
  resources: RedriveResources,
  request: OpenJobRequest,
  describe: Describe,
): Promise<OpenedJob> {
  const { registry, ledger } = resources;
  const input = parseParameters(redrive, request.parameters);
  const original = await findOriginal(ledger, input.instance);
  const described = await describe(original);
  const { onFailure = 'fail' } = registry.definition(original.job);
  const redrives = { instance: original.instance, parameters: described.parameters };
  const claim = request.carried
    ? await carriedClaim(resources, request, input, request.carried)
    : await newClaim(resources, request, input, { job: original.job, epoch: original.epoch, redrives });
  const taken = await countTaken(ledger, claim);
  const steps = Object.entries(described.policies).filter(([step]) => taken.has(step));
  return {
    claim,
    parameters: { ...input, steps: steps.map(([step]) => step) },
    policies: Object.fromEntries(
      steps.map(([step, policy]) => [step, redrivePolicy(policy, taken.get(step) ?? 0)]),
    ),
    onFailure,
    searchAttributes: await resources.hasSearchAttributes(),
  };
}

type RedriveParameters = ParametersOf<typeof redrive>;

async function carriedClaim(
  { ledger, isOpen }: RedriveResources,
  request: OpenJobRequest,
  parameters: RedriveParameters,
  carried: Claim,
): Promise<Claim> {
  const namespace = Context.current().info.workflowNamespace;
  const claiming = { ...request, namespace, instance: carried.instance, parameters, preventRestart: false };
  return claimInstance(ledger, claiming, isOpen);
}

async function newClaim(
  { registry, ledger, isOpen, askedBy }: RedriveResources,
  request: OpenJobRequest,
  selection: RedriveParameters,
  { job, epoch, redrives }: { job: string; epoch: number; redrives: RedrivenInstance },
): Promise<Claim> {
  const context = { ...redrives, epoch, log: Context.current().log };
  for (const step of await stepsWithSkips(ledger, selection)) refuseWithoutKeys(registry, job, step, context);
  const seenElsewhere = (await registry.hooks(job).highestEpoch?.(context)) ?? 0;
  const { workflowId, runId } = request;
  const start = await startOf({ askedBy }, request);
  const claiming = {
    ...{ selection, parameters: selection, workflowId, runId, seenElsewhere },
    namespace: Context.current().info.workflowNamespace,
    ...(start && { start }),
  };
  const { instance, epoch: raised } = await claimRedrive(ledger, claiming, isOpen);
  const identity = await ledger.transaction(readLedger);
  const place = identity === null ? {} : { ledger: identity };
  return { job, instance, epoch: raised, owner: workflowId, ...place, redrives };
}

function refuseWithoutKeys(registry: JobRegistry, job: string, step: string, context: StepContext): void {
  if (workOfRedrive(registry.work('chunk', job, step, context))?.reader.readKeys) return;
  throw failure(
    'RedriveRefused',
    `${context.instance} step ${step}: its reader cannot read single items again (it has no readKeys), so its skips ` +
      `cannot be redriven. They can be waived: ${keystride} skips ${shellWord(context.instance)} waive --reason "…"`,
  );
}

/** A redrive is small, and all of its items have failed before: a rate says nothing of it. */
function redrivePolicy(policy: StepPolicy, items: number): StepPolicy {
  if (policy.kind !== 'chunk') return policy;
  const { skip, startLimit, allowStartIfComplete, ...kept } = policy;
  void [startLimit, allowStartIfComplete];
  const partitions = Math.min(policy.partitions, Math.ceil(items / policy.chunkSize));
  const borrowed: ChunkPolicy = { ...kept, partitions };
  if (!skip) return borrowed;
  const { rate, ...codes } = skip;
  void rate;
  return { ...borrowed, skip: codes };
}
