import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** What has committed of an instance, by the workflow that ran it last. */
export interface Committed {
  /** The run that claimed it; one that continues it has another id. */
  readonly runId: string;
  readonly written: number;
  readonly skipped: number;
  /** The step that is open, the one that opened last; null for none. */
  readonly open: OpenStep | null;
}

/** How far an open step has come. */
export interface OpenStep {
  readonly step: string;
  /** Rows that were reached. */
  readonly done: number;
  readonly expected: number | null;
}

/** What has committed of the instances that these workflows ran last, by workflow id. */
export async function committedBy(
  ledger: Asked,
  workflowIds: readonly string[],
): Promise<ReadonlyMap<string, Committed>> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance as i')
      .leftJoinLateral(
        (from) =>
          from
            .selectFrom('keystride.step as s')
            .whereRef('s.instance_key', '=', 'i.instance_key')
            .where('s.status', '=', 'open')
            .orderBy('s.opened_at', 'desc')
            .limit(1)
            .select(['s.step', 's.expected'])
            .as('open'),
        (join) => join.onTrue(),
      )
      // An instance may have thousands of partitions: they are gone through once, for all figures.
      .leftJoinLateral(
        (from) =>
          from
            .selectFrom('keystride.checkpoint as c')
            .whereRef('c.instance_key', '=', 'i.instance_key')
            .select([sql<string>`sum(c.written)`.as('written'), sql<string>`sum(c.skipped)`.as('skipped')])
            .select(
              sql<string>`coalesce(sum(c.read + c.read_skipped) filter (where c.step = "open".step), 0)`.as(
                'done',
              ),
            )
            .as('committed'),
        (join) => join.onTrue(),
      )
      .where(sql<boolean>`i.owner_workflow_id = any(${workflowIds}::text[])`)
      // An id may have run several instances: the last one that it opened counts.
      .orderBy('i.opened_at')
      .select([
        'i.owner_workflow_id',
        'i.owner_run_id',
        // What is left of a pruned instance.
        sql<string | null>`coalesce(pruned_counters ->> 'written', committed.written::text)`.as('written'),
        sql<string | null>`coalesce(pruned_counters ->> 'skipped', committed.skipped::text)`.as('skipped'),
        'open.step',
        'open.expected',
        'committed.done',
      ]),
  );
  return new Map(
    rows.map((row) => [
      row.owner_workflow_id,
      {
        runId: row.owner_run_id,
        written: Number(row.written ?? 0),
        skipped: Number(row.skipped ?? 0),
        open:
          row.step === null
            ? null
            : {
                step: row.step,
                done: Number(row.done),
                expected: row.expected === null ? null : Number(row.expected),
              },
      },
    ]),
  );
}
