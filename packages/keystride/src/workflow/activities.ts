import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { EngineActivities } from '../contract/activities.ts';

/**
 * The engine's activities, by profile.
 *
 * The retry policies here are the last of three: an item is retried inside its page, a page by Temporal, and a step
 * that has used up both fails. They outlast a restart of the database and an API that is away for minutes.
 */

/** How long a worker may be silent before its work is given to another, in milliseconds. */
export const heartbeatTimeout = 8_000;

/** A look at the ledger that may fail: the next one will tell. */
export const {
  readStep,
  findDivisible,
  checkGate,
  findInstance: lookAtInstance,
} = proxyLocalActivities<Pick<EngineActivities, 'readStep' | 'findDivisible' | 'checkGate' | 'findInstance'>>(
  {
    startToCloseTimeout: '5 seconds',
    retry: { maximumAttempts: 1 },
  },
);

/** What a page may take beyond its time: calls in flight finish, their retries included. In milliseconds. */
const pageGrace = 5 * 60_000;

const retryPage = { initialInterval: 1_000, maximumInterval: 15_000, maximumAttempts: 25 };

/**
 * The activity of a page that goes on for about so many seconds.
 *
 * @param only whether it is the only one of its step, as far as the plan has counted.
 */
export function pageActivities(pageSeconds: number, only = false) {
  return proxyActivities<Pick<EngineActivities, 'processPage' | 'verifyPage'>>({
    startToCloseTimeout: pageSeconds * 1000 + pageGrace,
    heartbeatTimeout,
    // A page commits what it has in hand before it is at rest. Left out, the SDK sends the server's default: do not wait.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    // To whichever worker has room. Handed to the one that has just asked for it, as the server may, the pages of a
    // partition would stay where they began, and a worker that is started later would get none. One that no other
    // follows is better off there, if that worker has room: it waits for no queue.
    allowEagerDispatch: only,
    retry: retryPage,
  });
}

/** The activity of a tasklet whose attempts may each take so many seconds. */
export function taskletActivity(timeoutSeconds: number) {
  return proxyActivities<Pick<EngineActivities, 'runTasklet'>>({
    startToCloseTimeout: timeoutSeconds * 1000,
    heartbeatTimeout,
    retry: retryPage,
  });
}

/** Grace for a wait to end by itself, in seconds; and how long its worker may be silent, which says less often that it lives. */
const waitGraceSeconds = 60;
const waitHeartbeatTimeout = '30 seconds';

/** The activity that waits for a step for so many seconds at most. Where its worker ends it begins anew, some times. */
export function dueActivity(mostSeconds: number) {
  return proxyActivities<Pick<EngineActivities, 'awaitDue'>>({
    startToCloseTimeout: (mostSeconds + waitGraceSeconds) * 1000,
    heartbeatTimeout: waitHeartbeatTimeout,
    retry: { initialInterval: '1 second', maximumAttempts: 3 },
  });
}

/** Hands an alert over. Nobody waits for it for long: the job has more to do than to tell of itself. */
export const { raiseAlert } = proxyActivities<Pick<EngineActivities, 'raiseAlert'>>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '10 minutes',
  retry: { initialInterval: '1 second', maximumInterval: '15 seconds' },
});

/** Enters a control in the audit, for as long as it takes: a ledger that is away is told when it is back. */
export const { enterControl } = proxyActivities<Pick<EngineActivities, 'enterControl'>>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '15 seconds' },
});

/** Prunes the ledger. An attempt that was interrupted is followed by one that goes on. */
export const { pruneLedger } = proxyActivities<Pick<EngineActivities, 'pruneLedger'>>({
  startToCloseTimeout: '6 hours',
  scheduleToCloseTimeout: '1 day',
  heartbeatTimeout,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** A message of a day ago wakes nobody; until then a webhook that is down is tried again, less and less often. */
export const { deliverAlert } = proxyActivities<Pick<EngineActivities, 'deliverAlert'>>({
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '1 day',
  retry: { initialInterval: '1 second', maximumInterval: '10 minutes' },
});
