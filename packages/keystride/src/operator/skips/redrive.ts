import type { Authorship } from '../../contract/audit.ts';
import { redrive, redriveKey, type RedriveInput } from '../../contract/redrive.ts';
import { shellWord } from '../../contract/shell.ts';
import { countRedrives, type RunningExecution, runningExecutions } from '../../ledger/executions.ts';
import type { Asked } from '../../ledger/ledger.ts';
import type { SkipFilter, SkipStatus } from '../../ledger/skip-filter.ts';
import { countByStatus } from '../../ledger/skip-list.ts';
import { keystride } from '../called-as.ts';
import { CommandError } from '../command-error.ts';
import type { Session } from '../connection.ts';
import { count } from '../format.ts';
import { findInstance, firstAlive, refuseUnknownKeys, stillRunning, withLedger } from '../ledger.ts';
import { type StartedRun, startRun } from '../start.ts';

/** What the ledger says before a redrive. Its own claim decides; this is to refuse without a failed run in the lists. */
interface Prospect {
  readonly instance: string;
  readonly counts: Readonly<Record<SkipStatus, number>>;
  readonly running: readonly RunningExecution[];
  /** The key that the redrive will have. */
  readonly redriveKey: string;
}

/** A redrive that has started. */
export interface StartedRedrive extends StartedRun {
  /** The instance whose skips it runs again. */
  readonly redrives: string;
  /** How many are open of those that were asked for. */
  readonly items: number;
}

/**
 * Runs the open skips of an instance again, as a run of its own.
 * @throws CommandError when none is open, the instance or a redrive of it is running, or a key was never skipped
 */
export async function startRedrive(
  session: Session,
  id: string,
  filter: SkipFilter,
  author: Authorship,
): Promise<StartedRedrive> {
  const prospect = await withLedger((ledger) => look(ledger, id, filter));
  const { instance, counts, redriveKey: workflowId } = prospect;
  const alive = await firstAlive(session.client, prospect.running);
  if (alive) throw stillRunning(alive);
  if (counts.open === 0) throw nothingOpen(prospect);
  const { fingerprint, key, step } = filter;
  const input: RedriveInput = {
    instance,
    ...(step !== undefined && { step }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(key !== undefined && { keys: [...key] }),
  };
  const started = await startRun(session, {
    ...{ job: redrive, input, shown: input, instance: workflowId, workflowId, author },
    // An instance begins with its job.
    queuedAs: instance.split(':', 1)[0] ?? instance,
  });
  return { ...started, redrives: instance, items: counts.open };
}

async function look(ledger: Asked, id: string, filter: SkipFilter): Promise<Prospect> {
  const instance = await findInstance(ledger, id);
  await refuseUnknownKeys(ledger, instance, filter);
  return {
    instance,
    counts: await countByStatus(ledger, instance, filter),
    running: await runningExecutions(ledger, instance),
    redriveKey: redriveKey(instance, (await countRedrives(ledger, instance)) + 1),
  };
}

function nothingOpen({ instance, counts }: Prospect): CommandError {
  const settled = `${count(counts.redriven)} redriven, ${count(counts.waived)} waived`;
  return new CommandError(
    {
      what: `nothing to redrive: no skip of ${instance} that is asked for is open (${settled})`,
      todo: `See which skips there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NothingToRedrive', details: { instance } },
  );
}
