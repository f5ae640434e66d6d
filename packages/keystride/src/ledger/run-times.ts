import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** When an execution and its steps began and ended. Times are milliseconds since 1970, by the clock of the database. */
export interface RunTimes {
  readonly from: number;
  readonly to: number;
  readonly steps: readonly {
    readonly step: string;
    readonly from: number;
    readonly to: number;
    readonly completed: boolean;
  }[];
}

/** The times of an execution that ends now; undefined when another has its instance. */
export async function readRunTimes(
  ledger: Asked,
  { instance, epoch }: Pick<Claim, 'instance' | 'epoch'>,
): Promise<RunTimes | undefined> {
  const [run] = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select([milliseconds('opened_at').as('from'), milliseconds('now()').as('to')])
      .where('instance_key', '=', instance)
      .where('epoch', '=', String(epoch)),
  );
  if (!run) return undefined;
  const steps = await ledger.run(
    ledgerSql
      .selectFrom('keystride.step')
      .select(['step', milliseconds('opened_at').as('from'), 'status'])
      .select(milliseconds('coalesce(closed_at, now())').as('to'))
      .where('instance_key', '=', instance)
      .where('epoch', '=', String(epoch)),
  );
  return {
    ...run,
    // A step that an earlier execution has begun is a part of this one since this one began.
    steps: steps.map(({ step, from, to, status }) => ({
      ...{ step, from: Math.max(from, run.from), to: Math.max(to, run.from) },
      completed: status === 'completed',
    })),
  };
}

function milliseconds(time: string) {
  return sql<number>`(extract(epoch from ${sql.raw(time)}) * 1000)::float8`;
}
