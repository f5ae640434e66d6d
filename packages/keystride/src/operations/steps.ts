import { Context } from '@temporalio/activity';
import type { Claim } from '../contract/claim.ts';
import type {
  CloseStepRequest,
  OpenedStep,
  OpenStepRequest,
  StepRequest,
  StepState,
} from '../contract/step-activities.ts';
import type { StepPolicy } from '../contract/policy.ts';
import { type Counters, unreadText } from '../contract/progress.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from '../job/chunks.ts';
import type { JobRegistry } from '../job/registry.ts';
import { holdClaim } from '../ledger/hold-claim.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  completeStep,
  findStep,
  type FoundStep,
  readStepState,
  type RecordedPlan,
  recordStep,
  reopenStep,
  setCompleted,
  type StepOpening,
} from '../ledger/step.ts';
import { awaited, type Transaction } from '../stores/postgres/transaction.ts';
import { executionOf } from './execution.ts';
import { requirePlan } from './usable-plan.ts';

/** What steps are opened and closed with. */
export interface StepResources {
  readonly registry: JobRegistry;
  readonly ledger: Ledger;
}

/** The work of a chunk step, as the execution that asks does it. */
export function chunkWork(
  { registry, ledger }: StepResources,
  request: StepRequest,
  context: StepContext,
): AnyChunkWork | AnySetWork {
  const { claim, step } = request;
  return executionOf(request).chunkWork(registry.work('chunk', claim.job, step, context), ledger, step);
}

/** Opens a step: plans it once, or finds what was planned. */
export async function openStep(
  resources: StepResources,
  request: OpenStepRequest,
  context: StepContext,
): Promise<OpenedStep> {
  const { ledger } = resources;
  const { policy, claim } = request;
  const work = policy.kind === 'chunk' ? chunkWork(resources, request, context) : undefined;
  const opening: StepOpening = {
    skipLimit: policy.kind === 'chunk' ? policy.skipLimit : 0,
    startLimit: policy.kind === 'verification' ? undefined : policy.startLimit,
    beforeStep: work?.beforeStep
      ? (transaction) => awaited(transaction, '`beforeStep`', async () => work.beforeStep?.(transaction))
      : undefined,
  };
  const found = await findStep(ledger, request, request.saw);
  if (found && !startsOver(found, policy, claim)) {
    if (!found.completed) await reopenStep(ledger, request, opening, found);
    return openedStep(found);
  }
  const { cancellationSignal: signal } = Context.current();
  const plan: RecordedPlan =
    policy.kind === 'chunk' && work
      ? // The order before the ranges: should it change between them, no page reads these.
        {
          order: await work.reader.order?.(),
          ...requirePlan(await work.reader.plan({ partitions: policy.partitions, signal })),
        }
      : { ranges: [], expected: null };
  const recorded = await recordStep(ledger, request, plan, opening, found);
  return recorded ?? openedStep((await findStep(ledger, request)) as FoundStep);
}

/** Whether a step that an earlier execution has completed is run again. */
function startsOver(found: FoundStep, policy: StepPolicy, claim: Claim): boolean {
  if (policy.kind === 'verification' || policy.allowStartIfComplete !== true) return false;
  return found.completed && found.epoch < claim.epoch;
}

function openedStep({ epoch: _epoch, starts: _starts, ...opened }: FoundStep): OpenedStep {
  return opened;
}

/** Completes a step whose work is done, if its books balance. */
export async function closeStep(
  resources: StepResources,
  request: CloseStepRequest,
  context: StepContext,
): Promise<StepState> {
  const { ledger } = resources;
  if (request.result === undefined) {
    const work = chunkWork(resources, request, context);
    const afterStep = (transaction: Transaction, counters: Counters) =>
      awaited(transaction, '`afterStep`', async () => work.afterStep?.(transaction, { ...counters }));
    const state = await completeStep(ledger, request, work.afterStep && afterStep);
    const told = unreadText({ step: request.step, ...state.counters, ...state });
    if (told) context.log.warn(told, { instance: request.claim.instance, step: request.step });
    return state;
  }
  await ledger.transaction(async (transaction) => {
    await holdClaim(transaction, request.claim);
    await setCompleted(transaction, request, request.result);
  });
  return readStepState(ledger, request);
}
