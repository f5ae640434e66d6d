import type { ScheduleOptions } from '@temporalio/client';
import type { Authorship } from '../contract/audit.ts';
import { startOfDay } from '../contract/date-expressions.ts';
import { pruneType, type Pruned, type Retention } from '../contract/retention.ts';
import { enterPrune, pruneLedger, type PruneOptions, wouldPrune } from '../ledger/prune.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import type { Session } from './connection.ts';
import { withLedger } from './ledger.ts';
import { makeSchedule } from './schedules/create.ts';
import { checkCron } from './schedules/cron.ts';
import { enterScheduleChange, type ScheduleAuthor } from './schedules/enter.ts';
import { describeSchedule, type DescribedSchedule } from './schedules/read.ts';

/** What a prune would give up now. It changes nothing. */
export function planPrune(retention: Retention): Promise<Pruned> {
  return withLedger((ledger) => wouldPrune(ledger, retention));
}

/** Gives up what the ledger no longer has to keep. @returns what was given up until the end, or the signal */
export function prune(retention: Retention, author: Authorship, options: PruneOptions): Promise<Pruned> {
  return withLedger(async (ledger) => {
    await enterPrune(ledger, retention, author);
    return pruneLedger(ledger, retention, options);
  });
}

/**
 * Has Temporal prune at these times, by its schedule `prune`.
 *
 * @throws CommandError when there is one already, or Temporal refuses it
 */
export async function schedulePrune(
  session: Session,
  retention: Retention,
  { cron, timeZone }: { readonly cron: string; readonly timeZone: string },
  author: ScheduleAuthor,
): Promise<DescribedSchedule> {
  checkCron(cron);
  // Temporal, too, refuses a zone that nobody knows; this names it.
  startOfDay('2025-01-01', timeZone);
  const schedule: ScheduleOptions = {
    scheduleId: pruneType,
    spec: { cronExpressions: [cron], timezone: timeZone },
    action: {
      type: 'startWorkflow',
      workflowType: pruneType,
      workflowId: `scheduled:${pruneType}`,
      taskQueue: taskQueueOf(session.config, pruneType),
      args: [retention],
    },
    memo: { cron: [cron] },
  };
  await makeSchedule(session, schedule);
  const after = { cron: [cron], timeZone, ...retention };
  await enterScheduleChange(author, {
    ...{ action: 'schedule create', scheduleId: pruneType, job: pruneType, after },
  });
  return describeSchedule(session, pruneType);
}
