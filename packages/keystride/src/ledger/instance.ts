import { sql } from 'kysely';
import type { FoundInstance } from '../contract/activities.ts';
import { type Counters, noCounters } from '../contract/progress.ts';
import { ledgerSql } from './schema.ts';
import { countersOf } from './checkpoint.ts';
import { refuseOtherProject } from './project.ts';
import type { Ledger } from './ledger.ts';

/** What the ledger knows of an instance, whoever of the project runs it or has run it. @throws OtherProject */
export function findInstance(ledger: Ledger, instance: string): Promise<FoundInstance> {
  return ledger.transaction(async (transaction) => {
    const [row] = await transaction.run(
      ledgerSql
        .selectFrom('keystride.instance')
        .select(['status', 'owner_workflow_id', 'project', 'pruned_counters'])
        .where('instance_key', '=', instance),
    );
    refuseOtherProject(ledger.project, instance, row?.project ?? null);
    const [sums] = await transaction.run(
      ledgerSql
        .selectFrom('keystride.checkpoint')
        .select(
          (['read', 'read_skipped', 'filtered', 'written', 'skipped'] as const).map((counter) =>
            sql<string>`coalesce(sum(${sql.ref(counter)}), 0)`.as(counter),
          ),
        )
        .where('instance_key', '=', instance),
    );
    return {
      instance,
      status: statusOf(row?.status),
      workflowId: row?.owner_workflow_id ?? null,
      counters: (row?.pruned_counters as Counters | null) ?? (sums ? countersOf(sums) : noCounters),
    };
  });
}

const statuses = ['running', 'completed', 'failed', 'stopped'] as const;

function statusOf(stored: string | undefined): FoundInstance['status'] {
  return statuses.find((status) => status === stored) ?? null;
}
