import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

// What the audit has already, for whoever looks for changes that nobody has entered.

/** Which of these changes of Temporal's history are entered. */
export async function knownSources(ledger: Asked, sources: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.audit')
      .select('source')
      .where(sql<boolean>`source = any(${sources}::text[])`),
  );
  return new Set(rows.flatMap(({ source }) => source ?? []));
}

/** What the audit has of a schedule last. */
export interface LastScheduleEntry {
  readonly id: string;
  readonly action: string;
  /** As the last entry says that tells it; undefined where none does. */
  readonly paused?: boolean;
}

/** The last entries of the schedules, by schedule. */
export async function lastScheduleEntries(ledger: Asked): Promise<ReadonlyMap<string, LastScheduleEntry>> {
  const newest = sql`order by at desc, id desc`;
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.audit')
      .where('subject', 'is not', null)
      .where('action', 'like', 'schedule %')
      .groupBy('subject')
      .select('subject')
      .select(sql<string>`(array_agg(id ${newest}))[1]`.as('id'))
      .select(sql<string>`(array_agg(action ${newest}))[1]`.as('action'))
      .select(
        sql<
          boolean | null
        >`(array_agg((after ->> 'paused')::boolean ${newest}) filter (where after ? 'paused'))[1]`.as(
          'paused',
        ),
      ),
  );
  return new Map(
    rows.map(({ subject, id, action, paused }) => [
      subject ?? '',
      { id, action, ...(paused === null ? {} : { paused }) },
    ]),
  );
}
