import { patched, workflowInfo } from '@temporalio/workflow';
import type { OpenedStep, StepRequest, VerificationState } from '../contract/step-activities.ts';
import { failure } from '../contract/errors.ts';
import type { StepPolicy, VerificationPolicy } from '../contract/policy.ts';
import { noCounters, type StepProgress } from '../contract/progress.ts';
import { taskletActivity } from './activities.ts';
import { runChunkStep } from './chunk-step.ts';
import { GateWait } from './gate-wait.ts';
import { JobYielded } from './interruption.ts';
import type { JobRun } from './job-run.ts';
import { ledgerWork } from './ledger-work.ts';
import { onlyPageOf } from './page-requests.ts';
import { completeStep } from './step-attempts.ts';
import { StepReporter } from './step-reporter.ts';
import { comparePages } from './verify-instance.ts';

/**
 * Runs a step of a job until it has completed, or finds that it has.
 *
 * @throws StepFailed or what failed it; JobStopped, JobYielded.
 */
export function runStep(run: JobRun, step: string): Promise<StepProgress> {
  return completeStep(run, step, async () => {
    const { claim, parameters, policies } = run.opened;
    const policy = policies[step];
    if (!policy) {
      const known = Object.keys(policies).join(', ');
      throw failure('UnknownJob', `${claim.job} has no step ${step}; its contract names ${known}.`);
    }
    const request: StepRequest = { claim, step, parameters };
    const saw = run.seen.fresh;
    const onlyPage = onlyPageOf(run, request, policy);
    const opened = await ledgerWork.openStep({
      ...{ ...request, policy },
      ...(saw.length > 0 ? { saw } : {}),
      ...(onlyPage && { onlyPage }),
    });
    run.seen.confirm(saw);
    const reporter = new StepReporter(run, progressOf(step, policy, opened));
    return {
      found: opened.completed && !opened.own,
      reporter,
      work: () => runOpened(run, request, policy, opened, reporter),
    };
  });
}

function progressOf(
  step: string,
  { kind }: StepPolicy,
  { expected, counters, partitions, unread }: OpenedStep,
): StepProgress {
  return {
    step,
    kind,
    status: 'running',
    expected,
    ...counters,
    ...(unread === undefined ? {} : { unread }),
    partitions: { total: partitions.length, done: partitions.filter(({ done }) => done).length, failed: 0 },
    startedAt: new Date().toISOString(),
    finishedAt: null,
  };
}

async function runOpened(
  run: JobRun,
  request: StepRequest,
  policy: StepPolicy,
  opened: OpenedStep,
  reporter: StepReporter,
): Promise<Partial<StepProgress>> {
  const { decisions = [], retries } = opened;
  if (decisions.length > 0 || retries)
    run.reports.hear({ step: request.step, decisions, ...(retries && { retries }) });
  if (opened.completed) return { result: opened.result };
  if (policy.kind === 'chunk') return runChunkStep(run, request, policy, opened, reporter);
  if (policy.kind === 'verification')
    return { result: await runVerification(run, request, policy, reporter) };
  const { timeoutSeconds } = policy;
  const { runTasklet } = taskletActivity(timeoutSeconds);
  const gate = new GateWait(run, request);
  return { result: await gate.pass(() => runTasklet({ ...request, timeoutSeconds, mayBeHeld: true })) };
}

async function runVerification(
  run: JobRun,
  request: StepRequest,
  policy: VerificationPolicy,
  reporter: StepReporter,
): Promise<VerificationState> {
  const state = await compareToEnd(run, request, policy, reporter);
  if (state.differences > 0) {
    throw failure(
      'VerificationFailed',
      `${request.claim.instance}: ${state.differences} differences among ${state.compared} keys: ${state.examples.join('; ')}`,
    );
  }
  await ledgerWork.closeStep({ ...request, result: state });
  return state;
}

/** @throws JobYielded when the history has grown long: the run that continues this one goes on where it was. */
async function compareToEnd(
  run: JobRun,
  request: StepRequest,
  policy: VerificationPolicy,
  reporter: StepReporter,
): Promise<VerificationState> {
  const gate = new GateWait(run, request);
  const report = ({ compared }: VerificationState) =>
    reporter.counters({ ...noCounters, read: compared, written: compared });
  let state = run.takeCompared(request.step);
  if (state) report(state);
  try {
    return await comparePages(request, policy, state, async (page) => {
      await run.ready();
      state = await gate.pass(page);
      report(state);
      const isLong = state.position !== null && workflowInfo().continueAsNewSuggested;
      // A run that compared on before goes on comparing when it is replayed.
      if (isLong && patched('verification-continues')) run.requestYield();
      return state;
    });
  } catch (error) {
    if (state && error instanceof JobYielded) run.keepCompared(request.step, state);
    throw error;
  }
}
