import { Context } from '@temporalio/activity';
import { setTimeout as delay } from 'node:timers/promises';
import type { DueRequest } from '../contract/step-activities.ts';
import type { StepContext } from '../job/chunks.ts';
import type { JobRegistry, TaskletWork } from '../job/registry.ts';

/** Waits until a tasklet would find something to do, for as long as the request says at most. */
export async function awaitDue(
  registry: JobRegistry,
  { claim, step, everySeconds, mostSeconds }: DueRequest,
  context: StepContext,
): Promise<void> {
  const { cancellationSignal: signal } = Context.current();
  const work = registry.work('tasklet', claim.job, step, context);
  const until = performance.now() + mostSeconds * 1000;
  do await delay(everySeconds * 1000, undefined, { signal });
  while (performance.now() < until && !(await isDue(work, signal)));
}

/** Where a look fails, the step is to fail by the same: it is told, tried again and counted there. */
async function isDue({ due }: TaskletWork, signal: AbortSignal): Promise<boolean> {
  if (!due) return true;
  try {
    return await due(signal);
  } catch {
    signal.throwIfAborted();
    return true;
  }
}
