import type { Session } from './connection.ts';
import { queryOf } from './run-query.ts';

/** At most so many are looked at. */
const most = 50;

/**
 * The ids of runs, newest first: fifty at most.
 *
 * @param options.open only those that go on
 * @param options.startsWith only those that begin so
 */
export async function runIds(
  session: Session,
  { open, startsWith }: { readonly open: boolean; readonly startsWith: string },
): Promise<string[]> {
  const query = await queryOf(session, {
    ...(open && { group: 'active' }),
    ...(startsWith !== '' && { text: startsWith }),
  });
  const ids = new Set<string>();
  for await (const { workflowId } of session.client.workflow.list({ query, pageSize: most })) {
    ids.add(workflowId);
    if (ids.size >= most) break;
  }
  return [...ids];
}

/** The ids of schedules: fifty at most. */
export async function scheduleIds({ client }: Session): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list({ pageSize: most })) {
    ids.push(scheduleId);
    if (ids.length >= most) break;
  }
  return ids.toSorted();
}
