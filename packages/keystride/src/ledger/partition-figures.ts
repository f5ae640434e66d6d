import { sql } from 'kysely';
import type { Counters } from '../contract/progress.ts';
import { countersOf } from './checkpoint.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** A partition of a step, as far as it has committed. */
export interface PartitionFigures extends Counters {
  readonly partition: number;
  /** The range (lower, upper] and the last committed key, as the database renders them; null for an open end. */
  readonly lower: string | null;
  readonly upper: string | null;
  readonly cursor: string | null;
  /** Chunks that have committed. */
  readonly commits: number;
  readonly done: boolean;
  /** ISO time of the last commit, or of its planning. */
  readonly updatedAt: string;
}

/** How many partitions of a step there are in which state. */
export interface PartitionCounts {
  readonly total: number;
  readonly done: number;
  /** Of the others, those that have committed something. */
  readonly begun: number;
  /** Chunks that have committed, over all. */
  readonly commits: number;
}

/** Counts the partitions of an instance's steps, by step. */
export async function countPartitions(
  ledger: Asked,
  instance: string,
): Promise<ReadonlyMap<string, PartitionCounts>> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.checkpoint')
      .where('instance_key', '=', instance)
      .groupBy('step')
      .select([
        'step',
        sql<string>`count(*)`.as('total'),
        sql<string>`count(*) filter (where done)`.as('done'),
        sql<string>`count(*) filter (where not done and seq > 0)`.as('begun'),
        sql<string>`sum(seq)`.as('commits'),
      ]),
  );
  return new Map(
    rows.map(({ step, total, done, begun, commits }) => [
      step,
      { total: Number(total), done: Number(done), begun: Number(begun), commits: Number(commits) },
    ]),
  );
}

/** Which partitions of a step are read. */
export interface PartitionChoice {
  readonly instance: string;
  readonly step: string;
  /** Those alone that have begun and are not done. @default all */
  readonly underWay?: boolean;
  /** Those behind this number. @default from the first on */
  readonly after?: number;
  readonly limit: number;
}

/** The partitions of a step, in the order of their numbers. */
export async function readPartitions(ledger: Asked, choice: PartitionChoice): Promise<PartitionFigures[]> {
  const { instance, step, underWay = false, after = -1, limit } = choice;
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.checkpoint')
      .where('instance_key', '=', instance)
      .where('step', '=', step)
      .where('partition', '>', after)
      .$if(underWay, (query) => query.where('done', '=', false).where(sql<boolean>`seq > 0`))
      .orderBy('partition')
      .limit(limit)
      .select(['partition', 'lower', 'upper', 'cursor', 'seq', 'done', 'updated_at'])
      .select(['read', 'read_skipped', 'filtered', 'written', 'skipped']),
  );
  return rows.map((row) => ({
    partition: row.partition,
    lower: row.lower,
    upper: row.upper,
    cursor: row.cursor,
    commits: Number(row.seq),
    done: row.done,
    updatedAt: new Date(row.updated_at).toISOString(),
    ...countersOf(row),
  }));
}
