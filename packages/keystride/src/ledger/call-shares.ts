import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** What workers share of the calls of an API. */
export interface SharedCalls {
  readonly api: string;
  /** Workers that call it, or have called it a moment ago. */
  readonly workers: number;
  /** Calls that they may have out, all together. */
  readonly calls: number;
}

/** The APIs whose calls workers share at present, by name. */
export async function readCallShares(ledger: Asked): Promise<SharedCalls[]> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.call_share')
      .select(['api', sql<string>`count(*)`.as('workers'), sql<string>`sum(calls)`.as('calls')])
      .where('expires_at', '>', sql<string>`clock_timestamp()`)
      .groupBy('api')
      .orderBy('api'),
  );
  return rows.map(({ api, workers, calls }) => ({ api, workers: Number(workers), calls: Number(calls) }));
}
