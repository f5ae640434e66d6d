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
  /** Calls of the API that its configuration allows, over all workers; null of workers of an earlier release. */
  readonly limit: number | null;
}

/** The APIs whose calls workers share at present, by name. */
export async function readCallShares(ledger: Asked): Promise<SharedCalls[]> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.call_share')
      .select(['api', sql<string>`count(*)`.as('workers'), sql<string>`sum(calls)`.as('calls')])
      // While a new limit is rolled out workers differ: the least of them is kept to by all.
      .select(sql<number | null>`min(budget)`.as('limit'))
      .where('expires_at', '>', sql<string>`clock_timestamp()`)
      .groupBy('api')
      .orderBy('api'),
  );
  return rows.map(({ api, workers, calls, limit }) => ({
    ...{ api, limit },
    workers: Number(workers),
    calls: Number(calls),
  }));
}
