import {
  CancellationScope,
  continueAsNew,
  patched,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { StepRequest, VerificationRequest, VerificationState } from '../contract/step-activities.ts';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import type { VerificationPolicy } from '../contract/policy.ts';
import type { VerificationInput, VerificationReport } from '../contract/verification.ts';
import { pageActivities } from './activities.ts';
import { ledgerWork } from './ledger-work.ts';
import { startedBy } from './started-by.ts';
import { throttledBy } from '../contract/held-back.ts';
import { secondsUntilNextLook } from './gate-wait.ts';

/**
 * Compares page by page until everything is compared.
 *
 * @param from how far it has come; null for nothing yet.
 * @param around runs each page, and may wait before it does.
 */
export async function comparePages(
  request: StepRequest & Pick<VerificationRequest, 'repair' | 'started' | 'firstRunId'>,
  policy: VerificationPolicy,
  from: VerificationState | null,
  around: (page: () => Promise<VerificationState>) => Promise<VerificationState>,
): Promise<VerificationState> {
  const { verifyPage } = pageActivities(policy.pageSeconds);
  let state = from;
  do {
    const at = state;
    state = await around(() => verifyPage({ ...request, policy, state: at, mayBeHeld: true }));
  } while (state.position !== null);
  return state;
}

/**
 * Does a page when nothing holds it back. Until then the verification's details say why it waits.
 *
 * @param waitedOnce called after each wait.
 */
async function whenLetIn(
  page: () => Promise<VerificationState>,
  waitedOnce: () => Promise<void>,
): Promise<VerificationState> {
  for (let waited = 0; ;) {
    try {
      const compared = await page();
      setCurrentDetails('');
      return compared;
    } catch (error) {
      const throttled = throttledBy(error);
      if (!throttled) throw error;
      setCurrentDetails(`**throttled**: ${throttled.reason}`);
      waited = secondsUntilNextLook(throttled, waited);
      await sleep(waited * 1000);
      await waitedOnce();
    }
  }
}

/**
 * Runs the verification steps of a job over what an instance left behind. It claims nothing; asked to repair, it puts
 * right what differs while the instance is at rest, and changes nothing otherwise.
 *
 * @throws UnknownJob when the job has no verification step; RepairRefused.
 */
export async function verifyInstance(input: VerificationInput): Promise<VerificationReport> {
  try {
    return await compareInstance(input);
  } catch (error) {
    const type = failureTypeOf(error);
    // In the workflow's own message: that is what people see of a failed execution.
    throw type === undefined ? error : failure(type, describeError(error));
  }
}

async function compareInstance(input: VerificationInput): Promise<VerificationReport> {
  const { job, parameters: given, repair = false } = input;
  const { instance, parameters, policies } = await ledgerWork.describeInstance({ job, parameters: given });
  const steps = Object.entries(policies).flatMap(([step, policy]) =>
    policy.kind === 'verification' ? [{ step, policy }] : [],
  );
  if (steps.length === 0)
    throw failure('UnknownJob', `${job} has no verification step: there is nothing to compare.`);
  const { firstExecutionRunId: firstRunId } = workflowInfo();
  const repairing = repair ? { repair, started: startedBy(), firstRunId } : {};
  const claim = { job, instance, epoch: 0 };
  let compared = input.compared ?? {};
  for (const { step, policy } of steps) {
    const from = compared[step] ?? null;
    if (from?.position === null) continue;
    const ifLong = () => continueIfLong({ ...input, compared });
    await comparePages({ claim, step, parameters, ...repairing }, policy, from, async (page) => {
      const state = await whenLetIn(page, ifLong);
      compared = { ...compared, [step]: state };
      if (state.position !== null) await ifLong();
      return state;
    });
  }
  return reportOf(
    job,
    instance,
    steps.flatMap(({ step }) => compared[step] ?? []),
  );
}

/** Goes on with a new history where Temporal suggests it. Whoever has cancelled this one would not be heard by the next. */
async function continueIfLong(input: VerificationInput): Promise<void> {
  const isLong = workflowInfo().continueAsNewSuggested && !CancellationScope.current().consideredCancelled;
  // One that compared on before goes on comparing when it is replayed.
  if (isLong && patched('verification-continues')) await continueAsNew<typeof verifyInstance>(input);
}

function reportOf(job: string, instance: string, states: readonly VerificationState[]): VerificationReport {
  const total = (figure: (state: VerificationState) => number | undefined) =>
    states.reduce((sum, state) => sum + (figure(state) ?? 0), 0);
  const leftovers = total((state) => state.leftovers);
  const differences = total((state) => state.differences) + leftovers;
  return {
    job,
    instance,
    verified: differences === 0,
    compared: total(({ compared }) => compared),
    differences,
    repaired: total(({ repaired }) => repaired),
    removed: total(({ removed }) => removed),
    removable: total(({ removable }) => removable),
    examples: states.flatMap(({ examples }) => examples),
    ...(leftovers > 0 ? { leftovers } : {}),
  };
}
