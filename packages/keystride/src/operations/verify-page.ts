import { Context } from '@temporalio/activity';
import type { VerificationRequest, VerificationState } from '../contract/step-activities.ts';
import { cutText } from '../contract/errors.ts';
import type { ComparedPage, Difference } from '../contract/verification.ts';
import type { VerificationWork } from '../job/registry.ts';

/** Differences told by name; the others are counted. */
const toldExamples = 20;

const nothingCompared: VerificationState = { position: null, compared: 0, differences: 0, examples: [] };

/**
 * Compares for at most a page's time, and returns how far it came.
 *
 * @param mayGoOn between two comparisons; where not, the page ends, and the next one finds out why.
 * @param repair puts differences right, and says how many rows it has removed; what they came from is compared once more
 * then.
 */
export async function verifyPage(
  work: VerificationWork,
  { policy, state: from }: VerificationRequest,
  mayGoOn: () => boolean,
  repair?: (differences: readonly Difference[]) => Promise<number>,
): Promise<VerificationState> {
  const context = Context.current();
  const compare = (position: unknown) =>
    work.comparePage(position, policy.chunkSize, context.cancellationSignal);
  const until = performance.now() + policy.pageSeconds * 1000;
  const alive = setInterval(() => context.heartbeat(), 1_000);
  let state = from ?? nothingCompared;
  try {
    do {
      const { position } = state;
      const found = await compare(position);
      let left = found.differences;
      let removed = 0;
      if (repair && left.length > 0) {
        removed = await repair(await askedAgain(work, left));
        left = (await compare(position)).differences;
      }
      state = addPage(state, found, left, repair && { removed });
    } while (
      state.position !== null &&
      performance.now() < until &&
      !context.cancellationSignal.aborted &&
      mayGoOn()
    );
    return state;
  } finally {
    clearInterval(alive);
  }
}

/** What the source has, by its own account, is not removed, however its key was found to be extra. */
async function askedAgain(
  work: VerificationWork,
  differences: readonly Difference[],
): Promise<readonly Difference[]> {
  const extra = differences.flatMap(({ remove }) => (remove ? [remove] : []));
  if (!work.lacking || extra.length === 0) return differences;
  const lacking = new Set(await work.lacking(extra, Context.current().cancellationSignal));
  return differences.filter(({ remove }) => remove === undefined || lacking.has(remove));
}

/** @param left the differences of the page that are still there. */
function addPage(
  state: VerificationState,
  { position, compared, differences }: ComparedPage,
  left: readonly Difference[],
  repairing: { readonly removed: number } | undefined,
): VerificationState {
  const repaired = (state.repaired ?? 0) + Math.max(0, differences.length - left.length);
  const fresh = left.filter(({ leftover }) => leftover).length;
  const leftovers = (state.leftovers ?? 0) + fresh;
  const removed = (state.removed ?? 0) + (repairing?.removed ?? 0);
  const removable = (state.removable ?? 0) + left.filter(({ remove }) => remove).length;
  return {
    position,
    compared: state.compared + compared,
    differences: state.differences + left.length - fresh,
    ...(leftovers > 0 ? { leftovers } : {}),
    ...(repairing ? { repaired } : {}),
    ...(removed > 0 ? { removed } : {}),
    ...(removable > 0 ? { removable } : {}),
    examples: [...state.examples, ...differences.map(({ told }) => cutText(told))].slice(0, toldExamples),
  };
}
