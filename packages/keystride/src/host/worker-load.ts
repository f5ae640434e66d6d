import { ResourceBasedController, type TunerHolder } from '@temporalio/worker';

/** How much a worker process takes on. */
export interface WorkerLoad {
  /** Pages and other activities at a time. @default 100 */
  readonly activities?: number;
  /** Shares of the machine's processors and memory, 0 to 1, above which no more are taken. @default any */
  readonly target?: { readonly cpu: number; readonly memory: number };
}

/**
 * Activities that a worker takes whatever its machine is busy with: the page that it has in hand, and the short work of
 * the ledger, which would else stand behind that page.
 */
const fewestActivities = 2;

/** Where many wait for a database or an API, that is right. */
const usualActivities = 100;

/** How many steps a worker waits for at a time: what it waits for keeps three quarters of its places for pages. */
export function mostWaits({ activities = usualActivities }: WorkerLoad): number {
  return Math.floor(activities / 4);
}

/**
 * How many steps a worker does at a time within the workflow tasks that open them, beside its pages: none where it is to
 * take few, or by what its machine is busy with, which a task does not ask.
 */
export function mostWithinTasks({ activities = usualActivities, target }: WorkerLoad): number {
  return target ? 0 : Math.floor(activities / 4);
}

/**
 * Lets a worker take pages only while it has room for them; the next one goes to whoever has. Workflow tasks are never
 * held back: they answer operators.
 *
 * @returns the tuner that all workers of this process share.
 */
export function tunerOf({ activities = usualActivities, target }: WorkerLoad): TunerHolder {
  return {
    activityTaskSlotSupplier: target
      ? {
          type: 'resource-based',
          controller: ResourceBasedController.create({
            targetCpuUsage: target.cpu,
            targetMemoryUsage: target.memory,
          }),
          minimumSlots: Math.min(fewestActivities, activities),
          maximumSlots: activities,
        }
      : { type: 'fixed-size', numSlots: activities },
    // Runs that begin together have one thread for their flows: more of them at a time would wait for each other, until
    // what the ledger is asked for within their tasks took too long.
    workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: 16 },
    localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: 100 },
    nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 100 },
  };
}
