import { Context } from '@temporalio/activity';
import type pg from 'pg';
import type {
  Claim,
  CloseJobRequest,
  CloseStepRequest,
  DescribedInstance,
  EngineActivities,
  OpenedJob,
  OpenedStep,
  OpenJobRequest,
  OpenStepRequest,
  StepState,
  TaskletRequest,
} from '../../contract/activities.ts';
import type { JobDefinition } from '../../contract/job.ts';
import { instanceKey, parseParameters } from '../../contract/parameters.ts';
import type { StepPolicy } from '../../contract/policy.ts';
import { redrive } from '../../contract/redrive.ts';
import { inTransaction } from '../../stores/postgres/transaction.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from './chunks.ts';
import { classifyWith, safeMessage, toFailure } from './item-errors.ts';
import { claimInstance, closeInstance, holdClaim, type IsOpen } from './ledger/claim.ts';
import {
  completeStep,
  completeTasklet,
  findStep,
  type FoundStep,
  readStepState,
  recordStep,
  reopenStep,
  setCompleted,
  type StepOpening,
} from './ledger/step.ts';
import { processPage } from './page.ts';
import { openRedrive } from './redrive.ts';
import { redrivenWork } from './redriven-work.ts';
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
    parameters: claim.redrives?.parameters ?? parameters,
    // What a step derives from it (an idempotency key, say) is the same when a skipped item is run again.
    instance: claim.redrives?.instance ?? claim.instance,
    epoch: claim.epoch,
    log: Context.current().log,
  });
  return {
    openJob: (request) => guarded(request.job, () => openJob(resources, request)),
    describeInstance: (request) => guarded(request.job, async () => describeInstance(registry, request)),
    openStep: (request) => guarded(placeOf(request), () => openStep(resources, request, contextOf(request))),
    processPage: (request) => {
      const work = chunkWork(resources, request, contextOf(request));
      return processPage(resources, work, request);
    },
    runTasklet: (request) =>
      guarded(placeOf(request), () => runTasklet(resources, request, contextOf(request))),
    verifyPage: (request) => {
      const work = registry.work('verification', request.claim.job, request.step, contextOf(request));
      return guarded(placeOf(request), () => verifyPage(work, request));
    },
    readStep: (request) => guarded(placeOf(request), () => readStepState(ledger, request)),
    closeStep: (request) =>
      guarded(placeOf(request), () => closeStep(resources, request, contextOf(request))),
    closeJob: (request) =>
      guarded(request.claim.instance, () => closeJob(resources, request, contextOf(request))),
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

/** The work of a chunk step: over its source, or over the skips that a redrive has in hand. */
function chunkWork(
  { registry, ledger }: EngineResources,
  { claim, step }: { readonly claim: Claim; readonly step: string },
  context: StepContext,
): AnyChunkWork | AnySetWork {
  const work = registry.work('chunk', claim.job, step, context);
  // A set step skips nothing: there is nothing of it to redrive.
  return claim.redrives && 'processor' in work ? redrivenWork(work, ledger, claim, step) : work;
}

async function openJob(resources: EngineResources, request: OpenJobRequest): Promise<OpenedJob> {
  if (request.job === redrive.name)
    return openRedrive(resources, request, (of) => describeInstance(resources.registry, of));
  const { instance, parameters, policies } = describeInstance(resources.registry, request);
  const { preventRestart = false, onFailure = 'fail' } = resources.registry.definition(request.job);
  const claiming = { ...request, instance, parameters, preventRestart };
  const claim = await claimInstance(resources.ledger, claiming, resources.isOpen);
  return { claim, parameters, policies, onFailure, searchAttributes: await resources.hasSearchAttributes() };
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
  const { ledger } = resources;
  const { policy, claim } = request;
  const work = policy.kind === 'chunk' ? chunkWork(resources, request, context) : undefined;
  const opening: StepOpening = {
    skipLimit: policy.kind === 'chunk' ? policy.skipLimit : 0,
    startLimit: policy.kind === 'verification' ? undefined : policy.startLimit,
    beforeStep: work?.beforeStep?.bind(work),
  };
  const found = await findStep(ledger, request);
  if (found && !startsOver(found, policy, claim)) {
    if (!found.completed) await reopenStep(ledger, request, opening, found);
    return openedStep(found);
  }
  const { cancellationSignal: signal } = Context.current();
  const plan =
    policy.kind === 'chunk' && work
      ? await work.reader.plan({ partitions: policy.partitions, signal })
      : { ranges: [], expected: null };
  await recordStep(ledger, request, plan, opening, found);
  return openedStep((await findStep(ledger, request)) as FoundStep);
}

/** Whether a step that an earlier execution has completed is run again. */
function startsOver(found: FoundStep, policy: StepPolicy, claim: Claim): boolean {
  if (policy.kind === 'verification' || policy.allowStartIfComplete !== true) return false;
  return found.completed && found.epoch < claim.epoch;
}

function openedStep({ completed, result, expected, counters, partitions }: FoundStep): OpenedStep {
  return { completed, result, expected, counters, partitions };
}

function runTasklet({ ledger, registry }: EngineResources, request: TaskletRequest, context: StepContext) {
  const work = registry.work('tasklet', request.claim.job, request.step, context);
  return completeTasklet(ledger, request, request.timeoutSeconds, (transaction) => work.run(transaction));
}

async function closeStep(
  resources: EngineResources,
  request: CloseStepRequest,
  context: StepContext,
): Promise<StepState> {
  const { ledger } = resources;
  if (request.result === undefined) {
    const work = chunkWork(resources, request, context);
    return completeStep(ledger, request, work.afterStep?.bind(work));
  }
  await inTransaction(ledger, async (transaction) => {
    await holdClaim(transaction, request.claim);
    await setCompleted(transaction, request, request.result);
  });
  return readStepState(ledger, request);
}

/** Calls the job's own hook, which must not keep the instance from being released. */
async function closeJob(
  { ledger, registry }: EngineResources,
  request: CloseJobRequest,
  context: StepContext,
) {
  const { claim, outcome, reason } = request;
  if (outcome === 'failed') {
    try {
      await registry.hooks(claim.job).onFailure?.(context, reason ?? '');
    } catch (error) {
      context.log.error('the hook onFailure has failed', {
        instance: claim.instance,
        message: safeMessage(error),
      });
    }
  }
  await closeInstance(ledger, claim, outcome);
}
