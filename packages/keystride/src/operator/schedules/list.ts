import { pruneType } from '../../contract/retention.ts';
import { scheduledJobType } from '../../contract/scheduled-job.ts';
import { catalogue } from '../catalogue.ts';
import { CommandError } from '../command-error.ts';
import type { Session } from '../connection.ts';
import { describeSchedule, type DescribedSchedule } from './read.ts';

/**
 * The schedules that run jobs, or one of them, and the one that prunes. The list of Temporal is a little behind the truth,
 * so each schedule is asked itself.
 */
export async function readSchedules(session: Session, job?: string): Promise<DescribedSchedule[]> {
  const ids = await jobScheduleIds(session);
  const described = await Promise.all(ids.map((id) => describedOrGone(session, id)));
  return described.filter(
    (schedule) => schedule !== undefined && (job === undefined || schedule.job === job),
  ) as DescribedSchedule[];
}

/** The ids of the schedules that run jobs, and of the one that prunes, as Temporal lists them. */
export async function jobScheduleIds({ client }: Session): Promise<string[]> {
  const types: readonly string[] = [
    scheduledJobType,
    pruneType,
    ...(await catalogue()).map(({ name }) => name),
  ];
  const ids: string[] = [];
  for await (const { scheduleId, action } of client.schedule.list())
    if (action !== undefined && types.includes(action.workflowType)) ids.push(scheduleId);
  return ids.toSorted();
}

async function describedOrGone(session: Session, id: string): Promise<DescribedSchedule | undefined> {
  try {
    return await describeSchedule(session, id, 1);
  } catch (error) {
    if (error instanceof CommandError && error.type === 'NotFound') return undefined;
    throw error;
  }
}
