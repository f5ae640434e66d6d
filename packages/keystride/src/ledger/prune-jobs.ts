import type { Retention } from '../contract/retention.ts';
import type { Ledger } from './ledger.ts';

/** Every job that has an instance, found by steps along the index: there may be millions of instances. */
export async function jobsOf(ledger: Ledger, { jobs }: Retention): Promise<readonly string[]> {
  if (jobs) return jobs;
  const { rows } = await ledger.transaction((transaction) =>
    transaction.query<{ job: string }>(
      `WITH RECURSIVE known AS (
         (SELECT job FROM keystride.instance ORDER BY job LIMIT 1)
         UNION ALL
         SELECT (SELECT instance.job FROM keystride.instance WHERE instance.job > known.job ORDER BY 1 LIMIT 1)
           FROM known WHERE known.job IS NOT NULL)
       SELECT job FROM known WHERE job IS NOT NULL`,
    ),
  );
  return rows.map(({ job }) => job);
}
