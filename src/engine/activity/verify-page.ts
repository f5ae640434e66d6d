import { Context } from '@temporalio/activity';
import type { VerificationRequest, VerificationState } from '../../contract/activities.ts';
import type { VerificationWork } from './registry.ts';

/** Differences told by name; the others are counted. */
const toldExamples = 20;

const nothingCompared: VerificationState = { position: null, compared: 0, differences: 0, examples: [] };

/** Compares for at most a page's time, and returns how far it came. */
export async function verifyPage(
  work: VerificationWork,
  request: VerificationRequest,
): Promise<VerificationState> {
  const { policy } = request;
  const context = Context.current();
  const until = performance.now() + policy.pageSeconds * 1000;
  const alive = setInterval(() => context.heartbeat(), 1_000);
  let state = request.state ?? nothingCompared;
  try {
    do {
      const page = await work.comparePage(state.position, policy.chunkSize, context.cancellationSignal);
      state = {
        position: page.position,
        compared: state.compared + page.compared,
        differences: state.differences + page.differences.length,
        examples: [...state.examples, ...page.differences].slice(0, toldExamples),
      };
    } while (state.position !== null && performance.now() < until && !context.cancellationSignal.aborted);
    return state;
  } finally {
    clearInterval(alive);
  }
}
