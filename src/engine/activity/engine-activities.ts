import { Context } from '@temporalio/activity';
import type pg from 'pg';
import type {
  Claim,
  DescribedInstance,
  EngineActivities,
  OpenedJob,
  OpenedStep,
  OpenJobRequest,
  OpenStepRequest,
  StepRequest,
} from '../../contract/activities.ts';
import type { JobDefinition } from '../../contract/job.ts';
import { instanceKey, parseParameters } from '../../contract/parameters.ts';
import type { StepPolicy } from '../../contract/policy.ts';
import { inTransaction } from '../../stores/postgres/transaction.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { StepContext } from './chunks.ts';
import { classifyWith, toFailure } from './item-errors.ts';
import { claimInstance, closeInstance, holdClaim, type IsOpen } from './ledger/claim.ts';
import {
  completeStep,
  findStep,
  readStepState,
  recordStep,
  reopenStep,
  setCompleted,
} from './ledger/step.ts';
import { processPage } from './page.ts';
import type { JobRegistry } from './registry.ts';
import { verifyPage } from './verify-page.ts';

export interface EngineResources {
  readonly registry: JobRegistry;
  /** The database that the steps write to; the ledger is in its schema `keystride`. */
  readonly ledger: pg.Pool;
  readonly budget: ByteBudget;
  /** Asks Temporal whether a workflow id has an open run. */
  readonly isOpen: IsOpen;
  /** Whether the namespace has our search attributes. */
  readonly hasSearchAttributes: () => Promise<boolean>;
}

/** The engine's activities over these resources. */
export function createEngineActivities(resources: EngineResources): EngineActivities {
  const { registry, ledger } = resources;
  const contextOf = ({
    claim,
    parameters,
  }: {
    claim: Claim;
    parameters: StepContext['parameters'];
  }): StepContext => ({
    parameters,
    instance: claim.instance,
    epoch: claim.epoch,
    log: Context.current().log,
  });
  return {
    openJob: (request) => guarded(request.job, () => openJob(resources, request)),
    describeInstance: (request) => guarded(request.job, async () => describeInstance(registry, request)),
    openStep: (request) => guarded(placeOf(request), () => openStep(resources, request, contextOf(request))),
    processPage: (request) => {
      const work = registry.work('chunk', request.claim.job, request.step, contextOf(request));
      return processPage(resources, work, request);
    },
    runTasklet: (request) =>
      guarded(placeOf(request), () => runTasklet(resources, request, contextOf(request))),
    verifyPage: (request) => {
      const work = registry.work('verification', request.claim.job, request.step, contextOf(request));
      return guarded(placeOf(request), () => verifyPage(work, request));
    },
    readStep: (request) => guarded(placeOf(request), () => readStepState(ledger, request)),
    closeStep: (request) => guarded(placeOf(request), () => closeStep(ledger, request)),
    closeJob: ({ claim, outcome }) => guarded(claim.instance, () => closeInstance(ledger, claim, outcome)),
  };
}

function placeOf({ claim, step }: { readonly claim: Claim; readonly step: string }): string {
  return `${claim.instance} step ${step}`;
}

/** Turns whatever is thrown into a failure that says where, and never what a row held. */
async function guarded<Result>(where: string, body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (error) {
    throw toFailure(error, classifyWith(undefined)(error), where);
  }
}

async function openJob(resources: EngineResources, request: OpenJobRequest): Promise<OpenedJob> {
  const { instance, parameters, policies } = describeInstance(resources.registry, request);
  const claim = await claimInstance(resources.ledger, { ...request, instance, parameters }, resources.isOpen);
  return { claim, parameters, policies, searchAttributes: await resources.hasSearchAttributes() };
}

function describeInstance(
  registry: JobRegistry,
  request: { readonly job: string; readonly parameters: unknown },
): DescribedInstance {
  const definition = registry.definition(request.job);
  const parameters = parseParameters(definition, request.parameters);
  return {
    instance: instanceKey(definition, parameters),
    parameters,
    policies: policiesOf(definition, parameters),
  };
}

function policiesOf(definition: JobDefinition, parameters: Readonly<Record<string, unknown>>) {
  const tuned = definition.tune?.(parameters) ?? {};
  return Object.fromEntries(
    Object.entries(definition.steps).map(([step, policy]): [string, StepPolicy] => [
      step,
      { ...policy, ...tuned[step] },
    ]),
  );
}

async function openStep(
  resources: EngineResources,
  request: OpenStepRequest,
  context: StepContext,
): Promise<OpenedStep> {
  const { ledger, registry } = resources;
  const { policy, claim, step } = request;
  const skipLimit = policy.kind === 'chunk' ? policy.skipLimit : 0;
  const known = await findStep(ledger, request);
  if (known) {
    if (!known.completed) await reopenStep(ledger, request, skipLimit);
    return known;
  }
  const plan =
    policy.kind === 'chunk'
      ? await registry
          .work('chunk', claim.job, step, context)
          .reader.plan({ partitions: policy.partitions, signal: Context.current().cancellationSignal })
      : { ranges: [], expected: null };
  await recordStep(ledger, request, { ...plan, skipLimit });
  return (await findStep(ledger, request)) as OpenedStep;
}

async function runTasklet({ ledger, registry }: EngineResources, request: StepRequest, context: StepContext) {
  const work = registry.work('tasklet', request.claim.job, request.step, context);
  return inTransaction(ledger, async (transaction) => {
    await holdClaim(transaction, request.claim);
    const result = (await work.run(transaction)) ?? null;
    await setCompleted(transaction, request, result);
    return result;
  });
}

async function closeStep(ledger: pg.Pool, request: Parameters<EngineActivities['closeStep']>[0]) {
  if (request.result === undefined) return completeStep(ledger, request);
  await inTransaction(ledger, async (transaction) => {
    await holdClaim(transaction, request.claim);
    await setCompleted(transaction, request, request.result);
  });
  return readStepState(ledger, request);
}
