import { sql } from 'kysely';
import type { AlertedStep } from '../contract/alerts.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** The steps of an instance that have begun, with what has committed of them, in the order of their beginning. */
export async function stepFigures(ledger: Asked, instance: string): Promise<AlertedStep[]> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.step')
      .leftJoin('keystride.checkpoint', (join) =>
        join
          .onRef('keystride.checkpoint.instance_key', '=', 'keystride.step.instance_key')
          .onRef('keystride.checkpoint.step', '=', 'keystride.step.step'),
      )
      .where('keystride.step.instance_key', '=', instance)
      .groupBy(['keystride.step.instance_key', 'keystride.step.step'])
      .orderBy('keystride.step.opened_at')
      .select(['keystride.step.step', 'keystride.step.status', 'keystride.step.expected'])
      .select((select) => [
        sql<string>`coalesce(sum(checkpoint.read), 0)`.as('read'),
        sql<string>`coalesce(sum(checkpoint.read_skipped), 0)`.as('readSkipped'),
        sql<string>`coalesce(sum(checkpoint.filtered), 0)`.as('filtered'),
        sql<string>`coalesce(sum(checkpoint.written), 0)`.as('written'),
        sql<string>`coalesce(sum(checkpoint.skipped), 0)`.as('skipped'),
        select.fn.count('keystride.checkpoint.partition').as('total'),
        sql<string>`count(*) filter (where checkpoint.done)`.as('done'),
      ]),
  );
  return rows.map((row) => ({
    step: row.step,
    status: row.status,
    expected: row.expected === null ? null : Number(row.expected),
    read: Number(row.read),
    readSkipped: Number(row.readSkipped),
    filtered: Number(row.filtered),
    written: Number(row.written),
    skipped: Number(row.skipped),
    partitions: { total: Number(row.total), done: Number(row.done) },
  }));
}
