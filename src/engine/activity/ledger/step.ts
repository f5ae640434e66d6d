import type pg from 'pg';
import { sql } from 'kysely';
import type { Claim, OpenedStep, StepState } from '../../../contract/activities.ts';
import { encodeCursor } from '../../../contract/cursor.ts';
import { failure } from '../../../contract/errors.ts';
import { addCounters, booksBalance, type Counters, noCounters } from '../../../contract/progress.ts';
import type { ReadPlan } from '../../../contract/reader.ts';
import { migration } from '../../../stores/postgres/sql.ts';
import { type Transaction, inTransaction } from '../../../stores/postgres/transaction.ts';
import { countersOf } from './checkpoint.ts';
import { holdClaim } from './claim.ts';

export interface StepKey {
  readonly claim: Claim;
  readonly step: string;
}

/** What the ledger knows of a step, or undefined when no execution has opened it yet. */
export async function findStep(pool: pg.Pool, key: StepKey): Promise<OpenedStep | undefined> {
  return inTransaction(pool, async (transaction) => {
    const [step] = await transaction.run(
      whereStep(migration.selectFrom('keystride.step'), key).select(['status', 'result', 'expected']),
    );
    if (!step) return undefined;
    const partitions = await readPartitions(transaction, key);
    return {
      completed: step.status === 'completed',
      result: step.result,
      expected: step.expected === null ? null : Number(step.expected),
      counters: totalOf(partitions),
      partitions: partitions.map(({ partition, done }) => ({ partition, done })),
    };
  });
}

/**
 * Records a step with its partitions. Partitions that an earlier execution recorded are kept as they are, whatever
 * this plan says: their checkpoints belong to their ranges.
 */
export async function recordStep(
  pool: pg.Pool,
  key: StepKey,
  plan: ReadPlan & { readonly skipLimit: number },
): Promise<void> {
  const { instance, epoch } = key.claim;
  await inTransaction(pool, async (transaction) => {
    await holdClaim(transaction, key.claim);
    const recorded = await transaction.run(
      migration
        .insertInto('keystride.step')
        .values({
          instance_key: instance,
          step: key.step,
          status: 'open',
          epoch,
          expected: plan.expected,
          skip_limit: plan.skipLimit,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('step'),
    );
    if (recorded.length === 0 || plan.ranges.length === 0) return;
    await transaction.run(
      migration.insertInto('keystride.checkpoint').values(
        plan.ranges.map((range, partition) => ({
          instance_key: instance,
          step: key.step,
          partition,
          lower: encodeCursor(range.lower),
          upper: encodeCursor(range.upper),
          cursor: null,
          holder: null,
          epoch,
        })),
      ),
    );
  });
}

/** Notes that another execution goes on with a step, under its own skip limit. */
export async function reopenStep(pool: pg.Pool, key: StepKey, skipLimit: number): Promise<void> {
  await inTransaction(pool, async (transaction) => {
    await holdClaim(transaction, key.claim);
    await transaction.run(
      whereStep(migration.updateTable('keystride.step'), key)
        .set({ epoch: key.claim.epoch, starts: sql<number>`starts + 1`, skip_limit: skipLimit })
        .where('status', '=', 'open')
        .where('epoch', '<', String(key.claim.epoch)),
    );
  });
}

/** What has committed of a step by now. */
export async function readStepState(pool: pg.Pool, key: StepKey): Promise<StepState> {
  return inTransaction(pool, async (transaction) => stateOf(await readPartitions(transaction, key)));
}

/**
 * Completes a chunk step, if its books balance: every partition done, and every row that was reached written,
 * filtered or skipped, with one skip row for each skip counted.
 *
 * @throws BooksDoNotBalance with the figures.
 */
export async function completeStep(pool: pg.Pool, key: StepKey): Promise<StepState> {
  return inTransaction(pool, async (transaction) => {
    await holdClaim(transaction, key.claim);
    const partitions = await readPartitions(transaction, key);
    const state = stateOf(partitions);
    const skipRows = await countSkips(transaction, key);
    if (
      state.partitionsDone < partitions.length ||
      !booksBalance(state.counters) ||
      skipRows !== state.counters.skipped
    ) {
      throw unbalanced(key, state, partitions.length, skipRows);
    }
    await setCompleted(transaction, key, null);
    return state;
  });
}

/** Completes a tasklet in the transaction of its effect. Null as a result is recorded as such. */
export async function setCompleted(transaction: Transaction, key: StepKey, result: unknown): Promise<void> {
  await transaction.run(
    whereStep(migration.updateTable('keystride.step'), key).set({
      status: 'completed',
      epoch: key.claim.epoch,
      result: JSON.stringify(result ?? null),
      closed_at: sql<string>`now()`,
    }),
  );
}

interface PartitionRow extends Counters {
  readonly partition: number;
  readonly done: boolean;
}

async function readPartitions(transaction: Transaction, key: StepKey): Promise<PartitionRow[]> {
  const rows = await transaction.run(
    whereStep(migration.selectFrom('keystride.checkpoint'), key)
      .select(['partition', 'done', 'read', 'read_skipped', 'filtered', 'written', 'skipped'])
      .orderBy('partition'),
  );
  return rows.map((row) => ({ partition: row.partition, done: row.done, ...countersOf(row) }));
}

async function countSkips(transaction: Transaction, key: StepKey): Promise<number> {
  const [row] = await transaction.run(
    whereStep(migration.selectFrom('keystride.skip'), key).select((select) =>
      select.fn.countAll<string>().as('rows'),
    ),
  );
  return Number(row?.rows ?? 0);
}

function totalOf(partitions: readonly PartitionRow[]): Counters {
  return partitions.reduce<Counters>(addCounters, noCounters);
}

function stateOf(partitions: readonly PartitionRow[]): StepState {
  return { counters: totalOf(partitions), partitionsDone: partitions.filter(({ done }) => done).length };
}

function unbalanced(
  key: StepKey,
  { counters, partitionsDone }: StepState,
  partitions: number,
  skipRows: number,
) {
  const { read, readSkipped, written, filtered, skipped } = counters;
  return failure(
    'BooksDoNotBalance',
    `${key.claim.instance} step ${key.step}: ${partitionsDone} of ${partitions} partitions done; ` +
      `read ${read} + unreadable ${readSkipped} against written ${written} + filtered ${filtered} + skipped ${skipped}; ` +
      `${skipRows} skip rows. The step does not complete. Compare keystride.checkpoint and keystride.skip for this instance.`,
  );
}

interface StepFilterable {
  where(column: 'instance_key' | 'step', operator: '=', value: string): this;
}

function whereStep<Query extends StepFilterable>(query: Query, key: StepKey): Query {
  return query.where('instance_key', '=', key.claim.instance).where('step', '=', key.step);
}
