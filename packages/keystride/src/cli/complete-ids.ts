import { withSession } from '../operator/connection.ts';
import { runIds, scheduleIds } from '../operator/known-ids.ts';
import type { Candidate } from './candidate.ts';

/** How long Temporal may take, in milliseconds: somebody waits at a prompt. */
const patience = 1_000;

/** What can be done only to a run that goes on. */
const forOpenRuns = ['pause', 'resume', 'stop', 'skip', 'tune'];

/** The ids that a command may be about, as Temporal knows them; none where it does not answer within a second. */
export async function idCandidates(
  [command = '']: readonly string[],
  current: string,
): Promise<readonly Candidate[]> {
  const late = new Promise<string[]>((resolve) => {
    setTimeout(() => resolve([]), patience).unref();
  });
  const asked = withSession((session) =>
    command === 'schedule'
      ? scheduleIds(session)
      : runIds(session, { open: forOpenRuns.includes(command), startsWith: current }),
  ).catch(() => []);
  return (await Promise.race([asked, late])).map((word) => ({ word }));
}
