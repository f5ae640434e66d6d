/**
 * What runs may have in their histories, as a number that the ledger carries. Builds of an earlier level cannot go on with
 * a run that has it, so it is raised when none of their workers is left.
 */
export const presentLevel = 1;

/** The patch of runs that ask the ledger within their workflow tasks. */
export const workWithinTasks = 'ledger-work-within';

/** The patch of flows that wait until a step is due. */
export const waitUntilDue = 'wait-until-due';

/** The patches that wait for a level. Any other stands only where a build before would have failed, or was not there. */
const levels: Readonly<Record<string, number>> = { [workWithinTasks]: 1, [waitUntilDue]: 1 };

/** Whether a run may begin to follow a patch. One that has its marker follows it whatever the level. */
export function allowsPatch(level: number, patch: string): boolean {
  return (levels[patch] ?? 0) <= level;
}
