import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** How long something has lasted, by the clock of the database. */
export interface Ages {
  /** Of each job that has executions which have not ended: the seconds since the oldest of them was opened. */
  readonly executions: readonly { readonly job: string; readonly seconds: number }[];
  /** Of each stream: the seconds since a run has last moved its offset. */
  readonly streams: readonly { readonly stream: string; readonly seconds: number }[];
}

/** What a worker measures every few seconds, so that somebody hears of what goes on for too long. */
export async function readAges(ledger: Asked): Promise<Ages> {
  const executions = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['job', secondsSince(sql`min(opened_at)`).as('seconds')])
      .where('status', '=', 'running')
      .groupBy('job'),
  );
  const streams = await ledger.run(
    ledgerSql
      .selectFrom('keystride.stream_offset')
      .select(['stream', secondsSince(sql`updated_at`).as('seconds')])
      .where('source', 'is not', null),
  );
  return { executions, streams };
}

function secondsSince(time: ReturnType<typeof sql>) {
  return sql<number>`greatest(0, extract(epoch from clock_timestamp() - ${time}))::float8`;
}
