import type { PagePolicy, PageRequest, StepRequest } from '../contract/step-activities.ts';
import type { Tuning } from '../contract/messages.ts';
import { chunkBoundsOf, type ChunkPolicy, type StepPolicy } from '../contract/policy.ts';
import type { JobRun } from './job-run.ts';

/** A step's policy with what an operator has tuned. */
export function tuned(policy: ChunkPolicy, { chunkSize, concurrency, partitions }: Tuning): ChunkPolicy {
  return {
    ...policy,
    chunkSize: chunkSize ?? policy.chunkSize,
    concurrency: concurrency ?? policy.concurrency,
    window: partitions ?? policy.window,
  };
}

/**
 * What a partition's next pages are asked for, as the run stands now.
 *
 * @param policy the step's, as tuned.
 * @param share the partition's part of what the step may process at a time, and a second: 1 is all of it.
 */
export function pageRequestOf(
  run: JobRun,
  request: StepRequest,
  policy: ChunkPolicy,
  partition: number,
  share: number,
): PageRequest {
  const { concurrency, pageSeconds, durableEvery, retry, skipLimit, skip, quietHours } = policy;
  const { rowsPerSecond = policy.rowsPerSecond } = run.tuning;
  const setAside = run.setAside(request.step);
  const pagePolicy: PagePolicy = {
    ...commitInterval(run, request.step, policy),
    // Shares are fractions: three thirds of nine are nine.
    concurrency: Math.max(1, Math.floor(concurrency * share + 1e-6)),
    pageSeconds,
    retry,
    skipLimit,
    ...(durableEvery ? { durableEvery } : {}),
    ...(skip ? { skip } : {}),
    ...(rowsPerSecond ? { itemsPerSecond: rowsPerSecond * share } : {}),
    ...(setAside.length > 0 ? { setAside } : {}),
    ...(quietHours ? { quietHours } : {}),
  };
  return { ...request, partition, policy: pagePolicy };
}

/**
 * The page that does all of a step, which may be done with its opening: of a step whose items cost and harm nothing when
 * they are done again, as they are where that takes too long.
 */
export function onlyPageOf(run: JobRun, request: StepRequest, policy: StepPolicy): PagePolicy | undefined {
  if (policy.kind !== 'chunk' || policy.durableEvery !== 'page') return undefined;
  return pageRequestOf(run, request, tuned(policy, run.tuning), 0, 1).policy;
}

/** What the step has learned, within its bounds; an operator's figure is kept to. */
function commitInterval(
  run: JobRun,
  step: string,
  policy: ChunkPolicy,
): Pick<PagePolicy, 'chunkSize' | 'chunkBounds'> {
  const bounds = run.tuning.chunkSize === undefined ? chunkBoundsOf(policy) : undefined;
  if (!bounds) return { chunkSize: policy.chunkSize };
  const { chunkSize = policy.chunkSize } = run.reports.adaptedOf(step);
  return { chunkSize, chunkBounds: bounds };
}
