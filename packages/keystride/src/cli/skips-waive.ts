import { userInfo } from 'node:os';
import { sql } from 'kysely';
import type pg from 'pg';
import { ledgerSql } from '../ledger/schema.ts';
import { withSession } from './connection.ts';
import { shellWord } from '../contract/shell.ts';
import { count, plain } from './format.ts';
import { CommandError, exitCodes, printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import {
  countByStatus,
  findInstance,
  firstAlive,
  refuseUnknownKeys,
  run,
  type RunningExecution,
  runningExecutions,
  type SkipFilter,
  skipsOf,
  stillRunning,
  withLedger,
} from './skips-ledger.ts';
import { keystride } from './called-as.ts';

interface Waiver {
  readonly reason: string;
  readonly operator: string;
}

interface Waived extends Waiver {
  readonly instance: string;
  readonly waived: number;
  /** Those that somebody had waived before: they keep their reason. */
  readonly alreadyWaived: number;
}

/** `keystride skips ID waive`: closes open skips without running them. Doing it again changes nothing. */
export async function waiveSkips(id: string, options: SkipsOptions): Promise<void> {
  const waiver = waiverOf(options);
  const { instance, running } = await withLedger(async (client) => {
    const found = await findInstance(client, id);
    await refuseUnknownKeys(client, found, options);
    return { instance: found, running: await runningRedrives(client, found) };
  });
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  const waived = await withLedger((client) => waive(client, instance, options, waiver, running));
  if (options.output === 'json') return printJson(waived);
  show(waived);
}

function waiverOf({ reason, operator }: SkipsOptions): Waiver {
  if (reason?.trim()) return { reason: reason.trim(), operator: operator?.trim() || userInfo().username };
  throw new CommandError(
    {
      what: 'skips waive wants a --reason',
      todo: 'Say why nothing is to be done: --reason "withdrawn by its author"',
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

async function runningRedrives(client: pg.Client, instance: string): Promise<RunningExecution[]> {
  return (await runningExecutions(client, instance)).filter((execution) => execution.instance !== instance);
}

/** @param dead redrives that the ledger believes to run, and Temporal does not. What they commit now is refused. */
async function waive(
  client: pg.Client,
  instance: string,
  filter: SkipFilter,
  { reason, operator }: Waiver,
  dead: readonly RunningExecution[],
): Promise<Waived> {
  await client.query(`begin; set local lock_timeout = '30s'`);
  // A redrive takes this lock when it begins: it has begun, and is seen here, or it finds what is left.
  await run(
    client,
    ledgerSql
      .selectFrom('keystride.instance')
      .select('instance_key')
      .where('instance_key', '=', instance)
      .forUpdate(),
  );
  const known = new Set(dead.map((execution) => execution.instance));
  const begun = (await runningRedrives(client, instance)).find((execution) => !known.has(execution.instance));
  if (begun) throw stillRunning(begun);
  const before = await countByStatus(client, instance, filter);
  if (before.open + before.waived === 0) throw nothingToWaive(instance, before.redriven);
  const matching = skipsOf(instance, { ...filter, status: 'open' }).select(['step', 'item_key', 'phase']);
  const waived = await run(
    client,
    ledgerSql
      .updateTable('keystride.skip')
      .set({ status: 'waived', reason, settled_by: operator, settled_at: sql<string>`now()` })
      .where('instance_key', '=', instance)
      .where(sql<boolean>`(step, item_key, phase) in (${matching})`)
      .returning('item_key'),
  );
  await client.query('commit');
  return { instance, waived: waived.length, alreadyWaived: before.waived, reason, operator };
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
