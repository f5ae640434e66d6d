import { runningRedrives, waiveSkips as waive, type Waiver } from '../ledger/waive.ts';
import { authorOf } from './author.ts';
import { withSession } from './connection.ts';
import { shellWord } from '../contract/shell.ts';
import { count, plain } from './format.ts';
import { CommandError, exitCodes, printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import { findInstance, firstAlive, refuseUnknownKeys, stillRunning, withLedger } from './skips-ledger.ts';
import { keystride } from './called-as.ts';

interface Waived {
  readonly reason: string;
  readonly operator: string;
  readonly instance: string;
  readonly waived: number;
  /** Those that somebody had waived before: they keep their reason. */
  readonly alreadyWaived: number;
}

/** `keystride skips ID waive`: closes open skips without running them. Doing it again changes nothing. */
export async function waiveSkips(id: string, options: SkipsOptions): Promise<void> {
  const waiver = waiverOf(options);
  const { instance, running } = await withLedger(async (ledger) => {
    const found = await findInstance(ledger, id);
    await refuseUnknownKeys(ledger, found, options);
    return { instance: found, running: await runningRedrives(ledger, found) };
  });
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  const outcome = await withLedger((ledger) => waive(ledger, instance, options, waiver, running));
  if ('refusedBy' in outcome) throw stillRunning(outcome.refusedBy);
  const { waived, before } = outcome;
  if (before.open + before.waived === 0) throw nothingToWaive(instance, before.redriven);
  const { reason, by } = waiver;
  const told: Waived = { instance, waived, alreadyWaived: before.waived, reason, operator: by.operator };
  if (options.output === 'json') return printJson(told);
  show(told);
}

function waiverOf(options: SkipsOptions): Waiver {
  const { by, reason } = authorOf(options);
  if (reason) return { by, reason };
  throw new CommandError(
    {
      what: 'skips waive wants a --reason',
      todo: 'Say why nothing is to be done: --reason "withdrawn by its author"',
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
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

function show({ instance, waived, alreadyWaived, reason, operator }: Waived): void {
  const before = alreadyWaived > 0 ? `; ${count(alreadyWaived)} were waived before` : '';
  printLine(`${instance}: ${count(waived)} waived by ${plain(operator)}: ${plain(reason)}${before}`);
}
