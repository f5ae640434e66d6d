import { shellWord } from '../../contract/shell.ts';
import type { SkipFilter } from '../../ledger/skip-filter.ts';
import { runningRedrives, waiveSkips as waive, type Waiver } from '../../ledger/waive.ts';
import { keystride } from '../called-as.ts';
import { CommandError } from '../command-error.ts';
import { withSession } from '../connection.ts';
import { count } from '../format.ts';
import { findInstance, firstAlive, refuseUnknownKeys, stillRunning, withLedger } from '../ledger.ts';

/** What a waiver has closed. */
export interface Waived {
  readonly reason: string;
  readonly operator: string;
  readonly instance: string;
  readonly waived: number;
  /** Those that somebody had waived before: they keep their reason. */
  readonly alreadyWaived: number;
}

/**
 * Closes open skips without running them. Doing it again changes nothing.
 * @throws CommandError when none is open, a redrive of them is running, or a key was never skipped
 */
export async function waiveSkips(id: string, filter: SkipFilter, waiver: Waiver): Promise<Waived> {
  const { instance, running } = await withLedger(async (ledger) => {
    const found = await findInstance(ledger, id);
    await refuseUnknownKeys(ledger, found, filter);
    return { instance: found, running: await runningRedrives(ledger, found) };
  });
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  const outcome = await withLedger((ledger) => waive(ledger, instance, filter, waiver, running));
  if ('refusedBy' in outcome) throw stillRunning(outcome.refusedBy);
  const { waived, before } = outcome;
  if (before.open + before.waived === 0) throw nothingToWaive(instance, before.redriven);
  const { reason, by } = waiver;
  return { instance, waived, alreadyWaived: before.waived, reason, operator: by.operator };
}

function nothingToWaive(instance: string, redriven: number): CommandError {
  const why = redriven > 0 ? `, for ${count(redriven)} have been redriven` : '';
  return new CommandError(
    {
      what: `nothing to waive: no skip of ${instance} that is asked for is open${why}`,
      todo: `See which skips there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NothingToWaive', details: { instance } },
  );
}
