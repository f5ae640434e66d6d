import { setCurrentDetails, sleep } from '@temporalio/workflow';
import type { StepRequest, VerificationRequest, VerificationState } from '../contract/step-activities.ts';
import { describeError, failure, failureTypeOf } from '../contract/errors.ts';
import type { VerificationPolicy } from '../contract/policy.ts';
import type { VerificationInput, VerificationReport } from '../contract/verification.ts';
import { pageActivities } from './activities.ts';
import { ledgerWork } from './ledger-work.ts';
import { startedBy } from './started-by.ts';
import { throttledBy } from '../contract/held-back.ts';
import { secondsUntilNextLook } from './gate-wait.ts';

/** Compares page by page until everything is compared. `around` runs each page, and may wait before it does. */
export async function comparePages(
  request: StepRequest & Pick<VerificationRequest, 'repair' | 'started'>,
  policy: VerificationPolicy,
  around: (page: () => Promise<VerificationState>) => Promise<VerificationState>,
): Promise<VerificationState> {
  const { verifyPage } = pageActivities(policy.pageSeconds);
  let state: VerificationState | null = null;
  do {
    const from: VerificationState | null = state;
    state = await around(() => verifyPage({ ...request, policy, state: from, mayBeHeld: true }));
  } while (state.position !== null);
  return state;
}

/** Does a page when nothing holds it back. Until then the verification's details say why it waits. */
async function whenLetIn(page: () => Promise<VerificationState>): Promise<VerificationState> {
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

async function compareInstance({
  job,
  parameters: given,
  repair = false,
}: VerificationInput): Promise<VerificationReport> {
  const { instance, parameters, policies } = await ledgerWork.describeInstance({ job, parameters: given });
  const steps = Object.entries(policies).flatMap(([step, policy]) =>
    policy.kind === 'verification' ? [{ step, policy }] : [],
  );
  if (steps.length === 0)
    throw failure('UnknownJob', `${job} has no verification step: there is nothing to compare.`);
  let compared = 0;
  let differences = 0;
  let leftovers = 0;
  let repaired = 0;
  let removed = 0;
  let removable = 0;
  const examples: string[] = [];
  for (const { step, policy } of steps) {
    const claim = { job, instance, epoch: 0 };
    const state = await comparePages(
      { claim, step, parameters, ...(repair ? { repair, started: startedBy() } : {}) },
      policy,
      whenLetIn,
    );
    compared += state.compared;
    differences += state.differences + (state.leftovers ?? 0);
    leftovers += state.leftovers ?? 0;
    repaired += state.repaired ?? 0;
    removed += state.removed ?? 0;
    removable += state.removable ?? 0;
    examples.push(...state.examples);
  }
  const verified = differences === 0;
  const report = { job, instance, verified, compared, differences, repaired, removed, removable, examples };
  return leftovers > 0 ? { ...report, leftovers } : report;
}
