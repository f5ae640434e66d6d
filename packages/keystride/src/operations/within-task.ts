import { Context } from '@temporalio/activity';
import type { OpenedStep, OpenStepRequest, PagePolicy } from '../contract/step-activities.ts';
import type { StepContext } from '../job/chunks.ts';
import { type PageResources, processPage } from '../page/page.ts';
import { inSpanOfStep } from '../telemetry/traces.ts';
import type { Room } from './room.ts';
import { chunkWork, closeStep, type StepResources } from './steps.ts';

/** Items that a step may have to be done within the workflow task that has opened it. */
const mostItems = 1_000;

/** How long its page goes on, in seconds: half of what is waited for within a task. */
const pageSeconds = 1;

interface WithinResources extends StepResources, PageResources {
  /** Steps that the worker does so at a time. */
  readonly withinTasks: Room;
}

/**
 * Does a step that has just been opened within the same workflow task, where its run has said with which page, and the
 * plan has counted no more than one short chunk: a queue would take longer than its work.
 *
 * Whatever does not go well (no room, a gate that is closed, an item that fails, books that do not balance) is left to
 * the page on the queue and the closing after it, which find what has committed, meet the same, and tell of it.
 *
 * @returns the step as it stands: completed, or with what is left of it.
 */
export async function doneWithin(
  resources: WithinResources,
  request: OpenStepRequest,
  opened: OpenedStep,
  context: StepContext,
): Promise<OpenedStep> {
  const { onlyPage } = request;
  const [only, ...others] = opened.partitions;
  // On the queue it would hold a place that was given out for an opening.
  if (!onlyPage || !only || only.done || others.length > 0 || !Context.current().info.isLocal) return opened;
  const most = Math.min(onlyPage.chunkSize, mostItems);
  if (opened.expected === null || opened.expected > most || !resources.withinTasks.isLeft) return opened;
  const { claim, step, parameters } = request;
  const { partition } = only;
  // Its one commit waits for the disk, so that none has to follow it that does.
  const policy: PagePolicy = { ...onlyPage, pageSeconds, durableEvery: 'chunk' };
  const page = { claim, step, parameters, partition, policy };
  return resources.withinTasks.whileTaken(async () => {
    try {
      const work = chunkWork(resources, request, context);
      const { done, counters, decisions, retries } = await inSpanOfStep('page', page, () =>
        processPage(resources, work, page),
      );
      const reached: OpenedStep = {
        ...{ ...opened, counters, partitions: [{ partition, done }] },
        ...(decisions && { decisions }),
        ...(retries && { retries }),
      };
      return done ? await closed(resources, request, reached, context) : reached;
    } catch {
      return opened;
    }
  });
}

async function closed(
  resources: WithinResources,
  { claim, step, parameters }: OpenStepRequest,
  reached: OpenedStep,
  context: StepContext,
): Promise<OpenedStep> {
  try {
    const { counters, unread } = await closeStep(resources, { claim, step, parameters }, context);
    return { ...reached, counters, completed: true, own: true, ...(unread === undefined ? {} : { unread }) };
  } catch {
    return reached;
  }
}
