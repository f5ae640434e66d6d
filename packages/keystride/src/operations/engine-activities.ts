import { Context } from '@temporalio/activity';
import type { Claim } from '../contract/claim.ts';
import type { ClosedJob, CloseJobRequest, EngineActivities } from '../contract/activities.ts';
import type {
  GateRequest,
  TaskletRequest,
  Throttled,
  VerificationRequest,
  VerificationState,
} from '../contract/step-activities.ts';
import { failure } from '../contract/errors.ts';
import type { HashKey } from '../contract/sensitive.ts';
import type { ByteBudget } from '../page/byte-budget.ts';
import type { StepContext } from '../job/chunks.ts';
import { stepContext } from './execution.ts';
import { guarded } from './guarded.ts';
import { safeMessage } from '../page/item-errors.ts';
import { closeInstance, completeInstance, type IsOpen } from '../ledger/claim.ts';
import { stepFigures } from '../ledger/step-figures.ts';
import { findInstance } from '../ledger/instance.ts';
import { comparedAndKept } from './kept-pages.ts';
import { refuseOtherProjects } from '../ledger/project.ts';
import { claimRepair } from '../ledger/repair-claim.ts';
import { completeTasklet, readStepState } from '../ledger/step.ts';
import { awaitDue, waitingHeartbeatMs } from './await-due.ts';
import { deliverAlert } from './deliver-alert.ts';
import { type AskedBy, enterControl, repairOf } from './enter-control.ts';
import { processPage } from '../page/page.ts';
import { alertFailure, raiseAlert } from './raise-alert.ts';
import type { AlertChannel } from '../page/dead-letter.ts';
import { prune } from './prune.ts';
import { describeInstance, describeKnown, type HasCompleted, openJob } from './open-job.ts';
import { handOverDifferences, repairDifferences } from './repair.ts';
import type { Gate } from '../page/gate.ts';
import type { JobRegistry } from '../job/registry.ts';
import type { Room } from './room.ts';
import { resolveScheduledJob } from './scheduled-job.ts';
import type { InputOf } from './sensitive-values.ts';
import { findDivisible, splitPartition } from './split-partition.ts';
import { chunkWork, closeStep, openStep } from './steps.ts';
import { tellRun } from './tell-run.ts';
import { verifyPage } from './verify-page.ts';
import { doneWithin } from './within-task.ts';
import { inSpanOfStep } from '../telemetry/traces.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { awaited } from '../stores/postgres/transaction.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface EngineResources {
  readonly registry: JobRegistry;
  /** The database that the steps write to; the ledger is in its schema `keystride`. */
  readonly ledger: Ledger;
  readonly budget: ByteBudget;
  /** Steps that are waited for: each takes the place of a page, so they are few; others are looked at once. */
  readonly waits: Room;
  /** Steps that are done within the workflow tasks that open them; others are done on the queue. */
  readonly withinTasks: Room;
  /** What holds pages back. */
  readonly gate: Gate;
  readonly metrics: Metrics;
  /** Asks Temporal whether a workflow id has an open run. */
  readonly isOpen: IsOpen;
  /** Asks Temporal whether a run of a workflow id has completed. */
  readonly hasCompleted: HasCompleted;
  /** Asks Temporal what a run was started with. */
  readonly inputOf: InputOf;
  /** Hashes sensitive parameters. */
  readonly hashKey: HashKey;
  /** Asks Temporal who has sent a request that nobody has signed. */
  readonly askedBy: AskedBy;
  /** Whether the namespace has our search attributes. */
  readonly hasSearchAttributes: () => Promise<boolean>;
  readonly alerts: AlertChannel;
  /** The task queue that the runs of a job go to. */
  taskQueueOf(job: string): string;
}

/** The engine's activities over these resources. */
export function createEngineActivities(resources: EngineResources): EngineActivities {
  const { ledger } = resources;
  return {
    openJob: (request) => guarded(request.job, () => openJob(resources, request)),
    describeInstance: (request) =>
      guarded(request.job, async () => {
        const described = await describeKnown(resources, request);
        await refuseOtherProjects(ledger, described.instance);
        return described;
      }),
    findInstance: (request) =>
      guarded(request.job, async () => ({
        ...(await findInstance(ledger, describeInstance(resources, request).instance)),
        taskQueue: resources.taskQueueOf(request.job),
      })),
    resolveScheduledJob: (input) => guarded(input.job, () => resolveScheduledJob(resources, input)),
    openStep: (request) =>
      inStep(request, async () => {
        const context = stepContext(request);
        return doneWithin(resources, request, await openStep(resources, request, context), context);
      }),
    processPage: (request) => {
      const work = chunkWork(resources, request, stepContext(request));
      return inSpanOfStep('page', request, () => processPage(resources, work, request));
    },
    runTasklet: (request) =>
      inSpanOfStep('tasklet', request, () =>
        inStep(request, () => runTasklet(resources, request, stepContext(request))),
      ),
    awaitDue: (request) =>
      inStep(request, () => awaitDue(resources, request, stepContext(request)), waitingHeartbeatMs),
    verifyPage: (request) =>
      inSpanOfStep('page', request, () =>
        inStep(request, () => {
          const context = stepContext(request);
          return comparedAndKept(ledger, request, context.log, (page) =>
            compareAndRepair(resources, page, context),
          );
        }),
      ),
    readStep: (request) => inStep(request, () => readStepState(ledger, request)),
    checkGate: (request) => checkGate(resources, request),
    findDivisible: (request) =>
      inStep(request, () =>
        findDivisible(
          ledger,
          chunkWork(resources, request, stepContext(request)),
          request,
          Context.current(),
        ),
      ),
    splitPartition: (request) =>
      inStep(request, () =>
        splitPartition(
          ledger,
          chunkWork(resources, request, stepContext(request)),
          request,
          Context.current(),
        ),
      ),
    closeStep: (request) => inStep(request, () => closeStep(resources, request, stepContext(request))),
    closeJob: (request) =>
      guarded(request.claim.instance, () => closeJob(resources, request, stepContext(request))),
    enterControl: (entry) => guarded(entry.workflowId, () => enterControl(resources, entry)),
    pruneLedger: (request) => guarded(request.workflowId, () => prune(resources, request)),
    raiseAlert: (request) => guarded(request.instance, () => raiseAlert(resources, request)),
    deliverAlert: (alert) => deliverAlert(resources.alerts.settings, alert),
  };
}

/** Answers whether a step may go on that is throttled, and counts how long it has waited for that. */
async function checkGate(
  { gate, metrics }: EngineResources,
  { claim: { job }, step, quietHours, now, waited }: GateRequest,
): Promise<Throttled | null> {
  if (waited) {
    const reason = waited.certain ? 'quietHours' : 'health';
    metrics.add('throttledSeconds', Math.round(waited.seconds), { job_name: job, step, reason });
  }
  return (await gate.ask(quietHours, now)).throttled;
}

function inStep<Result>(
  { claim, step }: { readonly claim: Claim; readonly step: string },
  body: () => Promise<Result>,
  everyMs?: number,
): Promise<Result> {
  return guarded(`${claim.instance} step ${step}`, body, step, everyMs);
}

async function runTasklet(
  { ledger, registry, gate }: EngineResources,
  request: TaskletRequest,
  context: StepContext,
) {
  await gate.letIn(request, temporalMs(), Context.current().log);
  const work = registry.work('tasklet', request.claim.job, request.step, context);
  return completeTasklet(ledger, request, request.timeoutSeconds, (transaction) =>
    awaited(transaction, 'the tasklet', () => work.run(transaction)),
  );
}

/** When Temporal gave this activity out, by its clock. */
function temporalMs(): number {
  return Context.current().info.currentAttemptScheduledTimestampMs;
}

async function compareAndRepair(
  resources: EngineResources,
  request: VerificationRequest,
  context: StepContext,
): Promise<VerificationState> {
  const { registry, ledger, budget, gate } = resources;
  const { job, instance } = request.claim;
  const verification = registry.work('verification', job, request.step, context);
  await gate.letIn(request, temporalMs(), Context.current().log);
  const mayGoOn = () => !request.mayBeHeld || gate.glance([], temporalMs()).throttled === null;
  if (!request.repair) return verifyPage(verification, request, mayGoOn);
  const { repair, handOver } = verification;
  if (handOver) {
    const repairing = { ...(await repairOf(resources, request)), instance };
    return verifyPage(verification, request, mayGoOn, (differences) =>
      handOverDifferences(ledger, repairing, (transaction) => handOver(differences, transaction)),
    );
  }
  const { policies } = describeInstance(resources, { job, parameters: request.parameters });
  const policy = repair && policies[repair.step];
  if (!repair || policy?.kind !== 'chunk')
    throw failure(
      'RepairRefused',
      `${job} step ${request.step} only tells differences: it cannot repair them.`,
    );
  const harm = (await verification.unrepairable?.()) ?? null;
  if (harm !== null) throw failure('RepairRefused', `${job} step ${request.step}: ${harm}.`);
  const repairing = await repairOf(resources, request);
  const claimed = await claimRepair(ledger, instance, repairing);
  const work = repair.work ?? registry.work('chunk', job, repair.step, { ...context, epoch: claimed.epoch });
  const { cancellationSignal: signal } = Context.current();
  return verifyPage(verification, request, mayGoOn, (differences) =>
    repairDifferences({ ledger, budget, job, instance, claimed, signal, repair, work, policy }, differences),
  );
}

/** Calls the job's own hook and raises the alert, neither of which must keep the instance from being released. */
async function closeJob(
  resources: EngineResources,
  request: CloseJobRequest,
  context: StepContext,
): Promise<ClosedJob> {
  const { ledger, registry, metrics } = resources;
  const { claim, outcome, reason, saw = [] } = request;
  if (outcome === 'completed') {
    const behind = await completeInstance(ledger, claim, saw);
    if (behind.length === 0) {
      metrics.add('executionsEnded', 1, { job_name: claim.job, outcome });
      await tellRun(ledger, claim, outcome);
      return {};
    }
    context.log.warn('the ledger is behind the history', { instance: claim.instance, behind });
    return { behind };
  }
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
  await tellRun(ledger, claim, outcome);
  metrics.add('executionsEnded', 1, { job_name: claim.job, outcome });
  if (outcome === 'failed') await alertFailure(resources, request);
  // What its workflow last heard of the steps may be old: their pages failed, or did not answer any more.
  const steps = await stepFigures(ledger, claim.instance).catch(() => undefined);
  return steps ? { steps } : {};
}
