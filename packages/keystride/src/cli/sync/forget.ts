import { sql } from 'kysely';
import type pg from 'pg';
import { ledgerSql } from '../../ledger/schema.ts';
import { withSession } from '../connection.ts';
import { plain } from '../format.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { firstAlive, run, type RunningExecution, stillRunning, withLedger } from '../skips-ledger.ts';
import { readStream, type Stream } from './streams.ts';

/**
 * `keystride sync forget STREAM`: takes its offset out of the ledger. Neither the source nor the sink is touched, and the
 * source need not be there. A run that is in flight all the same does not bring the offset back.
 *
 * @throws CommandError while a run of it is going on, or a sync that polls it.
 */
export async function forgetStream(name: string, { output }: OutputOptions): Promise<void> {
  const { stream, running } = await withLedger(async (client) => ({
    stream: await readStream(client, name),
    running: await runningOn(client, name),
  }));
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  await withLedger((client) =>
    run(client, ledgerSql.deleteFrom('keystride.stream_offset').where('stream', '=', name)),
  );
  if (output === 'json') return printJson({ stream: name, forgotten: forgottenOf(stream) });
  const at = stream.cursor ? `at ${plain(stream.cursor.join(', '))}` : 'without an offset';
  printLine(`${plain(name)}: forgotten, ${at} in ${plain(stream.table)}`);
  printLine(
    '  A run of it would copy everything again. The rows in the sink, its runs and their skips stay.',
  );
}

function forgottenOf({ cursor, table, key, movedAt }: Stream) {
  return { cursor, table, key, movedAt };
}

/** Runs of a stream that the ledger believes to go on, and those that begin one after another. */
async function runningOn(client: pg.Client, name: string): Promise<RunningExecution[]> {
  const begun = sql<boolean>`exists (
    select from keystride.step
     where step.instance_key = instance.instance_key and step = 'begin' and result ->> 'stream' = ${name})`;
  // One that polls has no steps of its own, and may be between two polls.
  const polls = sql<boolean>`params ->> 'poll' = 'continuous' and (
    job = 'targetSync' and ${name} = 'targetSync:' ||
      case when params ->> 'mode' like 'timestamp%' then 'updated_at,id' else 'id' end
    or job = 'tableSync' and starts_with(${name}, concat(
      'tableSync:', params ->> 'source', '>', coalesce(params ->> 'sink', params ->> 'source'), ':')))`;
  return run(
    client,
    ledgerSql
      .selectFrom('keystride.instance as instance')
      .select(['instance_key as instance', 'owner_workflow_id as workflowId'])
      .where('status', '=', 'running')
      .where(sql<boolean>`(${begun} or ${polls})`),
  );
}
