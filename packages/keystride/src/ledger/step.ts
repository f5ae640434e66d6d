import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import type { OpenedStep, SeenStep, StepState } from '../contract/step-activities.ts';
import { encodeCursor } from '../contract/cursor.ts';
import { failure } from '../contract/errors.ts';
import { addCounters, booksBalance, type Counters, noCounters } from '../contract/progress.ts';
import type { ReadPlan } from '../contract/reader.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { countersOf } from './checkpoint.ts';
import { holdClaim, ledgerBehind } from './hold-claim.ts';
import { lostSteps } from './seen-steps.ts';
import { skipBooksOf } from './skip-books.ts';
import type { Ledger } from './ledger.ts';

export interface StepKey {
  readonly claim: Claim;
  readonly step: string;
}

/** A step as an earlier execution, or an earlier part of this one, has left it. */
export interface FoundStep extends OpenedStep {
  /** The epoch of the execution that opened or completed it last. */
  readonly epoch: number;
  /** How many executions have opened it. */
  readonly starts: number;
}

/**
 * What the ledger knows of a step, or undefined when no execution has opened it yet.
 *
 * @param saw steps that were seen completed, and may be needed by this one.
 * @throws Fenced; LedgerBehind when one of them is no longer completed; OtherLedger.
 */
export async function findStep(
  ledger: Ledger,
  key: StepKey,
  saw: readonly SeenStep[] = [],
): Promise<FoundStep | undefined> {
  return ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    const lost = await lostSteps(transaction, key.claim, saw);
    if (lost.length > 0) throw ledgerBehind(key.claim.instance, lost.join('; '));
    const [step] = await transaction.run(
      whereStep(ledgerSql.selectFrom('keystride.step'), key).select([
        'status',
        'result',
        'expected',
        'counted',
        'epoch',
        'starts',
      ]),
    );
    if (!step) return undefined;
    const partitions = await readPartitions(transaction, key);
    const counters = totalOf(partitions);
    return {
      ...(step.status === 'completed' ? unreadOf(step, counters) : {}),
      epoch: Number(step.epoch),
      starts: step.starts,
      completed: step.status === 'completed',
      result: step.result,
      expected: step.expected === null ? null : Number(step.expected),
      counters,
      partitions: partitions.map(({ partition, done }) => ({ partition, done })),
    };
  });
}

/** What an execution that opens a step brings along. */
export interface StepOpening {
  readonly skipLimit: number;
  /** Executions that may open the step; undefined for any number. */
  readonly startLimit: number | undefined;
  /** Runs in the transaction that records the opening, once an execution. */
  readonly beforeStep: ((transaction: Transaction) => Promise<void>) | undefined;
}

/** What is to be read in a step, and what the order of its keys depends on: see `Reader.order`. */
export interface RecordedPlan extends ReadPlan {
  readonly order?: string | undefined;
}

/**
 * Records a step with its partitions, for the first time or, after it has completed, once more from the beginning.
 * Should another attempt have recorded it meanwhile, its partitions are kept.
 *
 * @returns the step as it begins; undefined where another attempt has recorded it.
 * @throws StartLimitExceeded
 */
export async function recordStep(
  ledger: Ledger,
  key: StepKey,
  plan: RecordedPlan,
  opening: StepOpening,
  found: FoundStep | undefined,
): Promise<OpenedStep | undefined> {
  const { instance, epoch } = key.claim;
  const starts = (found?.starts ?? 0) + 1;
  refuseBeyondLimit(key, starts, opening);
  return ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    // Its checkpoints and skips go with it.
    if (found)
      await transaction.run(
        whereStep(ledgerSql.deleteFrom('keystride.step'), key).where('epoch', '<', String(epoch)),
      );
    const recorded = await transaction.run(
      ledgerSql
        .insertInto('keystride.step')
        .values({
          instance_key: instance,
          step: key.step,
          status: 'open',
          epoch,
          starts,
          expected: plan.expected,
          counted: plan.counted ?? null,
          key_order: plan.order ?? null,
          skip_limit: opening.skipLimit,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('step'),
    );
    if (recorded.length === 0) return undefined;
    if (plan.ranges.length > 0) await insertCheckpoints(transaction, key, plan);
    await opening.beforeStep?.(transaction);
    const partitions = plan.ranges.map((_, partition) => ({ partition, done: false }));
    return { completed: false, result: null, expected: plan.expected, counters: noCounters, partitions };
  });
}

async function insertCheckpoints(transaction: Transaction, key: StepKey, plan: ReadPlan): Promise<void> {
  await transaction.run(
    ledgerSql.insertInto('keystride.checkpoint').values(
      plan.ranges.map((range, partition) => ({
        instance_key: key.claim.instance,
        step: key.step,
        partition,
        lower: encodeCursor(range.lower),
        upper: encodeCursor(range.upper),
        cursor: null,
        holder: null,
        epoch: key.claim.epoch,
      })),
    ),
  );
}

/**
 * Notes that another execution goes on with a step, under its own limits. In the execution that has done so already it
 * does nothing.
 *
 * @throws StartLimitExceeded
 */
export async function reopenStep(
  ledger: Ledger,
  key: StepKey,
  opening: StepOpening,
  found: FoundStep,
): Promise<void> {
  if (found.epoch === key.claim.epoch) return;
  refuseBeyondLimit(key, found.starts + 1, opening);
  await ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    const reopened = await transaction.run(
      whereStep(ledgerSql.updateTable('keystride.step'), key)
        .set({ epoch: key.claim.epoch, starts: sql<number>`starts + 1`, skip_limit: opening.skipLimit })
        .where('status', '=', 'open')
        .where('epoch', '<', String(key.claim.epoch))
        .returning('starts'),
    );
    if (reopened.length > 0) await opening.beforeStep?.(transaction);
  });
}

function refuseBeyondLimit(key: StepKey, starts: number, { startLimit }: StepOpening): void {
  if (startLimit === undefined || starts <= startLimit) return;
  throw failure(
    'StartLimitExceeded',
    `${key.claim.instance} step ${key.step} has been started ${starts - 1} times; its limit is ${startLimit}.`,
  );
}

/** What has committed of a step by now. */
export async function readStepState(ledger: Ledger, key: StepKey): Promise<StepState> {
  return ledger.transaction(async (transaction) => stateOf(await readPartitions(transaction, key)));
}

/**
 * Completes a chunk step, if its books balance: every row that was reached written, filtered or skipped, with one skip
 * row for each skip counted. While partitions are not done it says which, and completes nothing.
 *
 * @param afterStep runs in the transaction that completes it.
 * @throws BooksDoNotBalance with the figures; LedgerBehind when the ledger has lost the step.
 */
export async function completeStep(
  ledger: Ledger,
  key: StepKey,
  afterStep?: (transaction: Transaction, counters: Counters) => Promise<void>,
): Promise<StepState> {
  return ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    // Before anything is read: an attempt that was given up may be at work, and what it does last is in the books.
    const planned = await lockStep(transaction, key);
    const partitions = await readPartitions(transaction, key);
    const state = stateOf(partitions);
    const unfinished = partitions.filter(({ done }) => !done).map(({ partition }) => partition);
    if (unfinished.length > 0) return { ...state, unfinished };
    const skipRows = await skipBooksOf(key.claim).count(transaction, key);
    if (!booksBalance(state.counters) || skipRows !== state.counters.skipped) {
      throw unbalanced(key, state, partitions.length, skipRows);
    }
    // Counted against what was read, whatever the step does last.
    const unread = unreadOf(planned, state.counters);
    if (planned.status === 'completed') return { ...state, ...unread };
    await afterStep?.(transaction, state.counters);
    await setCompleted(transaction, key, null);
    // What the step does last may be in its books.
    return { ...(afterStep ? stateOf(await readPartitions(transaction, key)) : state), ...unread };
  });
}

/**
 * Runs a tasklet and completes its step in one transaction, once: an attempt whose answer was lost is not repeated, its
 * recorded result is returned.
 *
 * @throws LedgerBehind when the ledger has lost the step: nothing is run.
 */
export async function completeTasklet(
  ledger: Ledger,
  key: StepKey,
  timeoutSeconds: number,
  run: (transaction: Transaction) => Promise<unknown>,
): Promise<unknown> {
  const bounds = { statementTimeoutMs: timeoutSeconds * 1000, idleTimeoutMs: timeoutSeconds * 1000 };
  return ledger.transaction(async (transaction) => {
    await holdClaim(transaction, key.claim);
    const [step] = await transaction.run(
      whereStep(ledgerSql.selectFrom('keystride.step'), key).select(['status', 'result']).forUpdate(),
    );
    if (!step) throw stepLost(key);
    if (step.status === 'completed') return step.result;
    const result = (await run(transaction)) ?? null;
    await setCompleted(transaction, key, result);
    return result;
  }, bounds);
}

interface PlannedStep {
  readonly status: string;
  readonly expected: string | null;
  readonly counted: boolean | null;
}

async function lockStep(transaction: Transaction, key: StepKey): Promise<PlannedStep> {
  const [step] = await transaction.run(
    whereStep(ledgerSql.selectFrom('keystride.step'), key)
      .select(['status', 'expected', 'counted'])
      .forUpdate(),
  );
  if (!step) throw stepLost(key);
  return step;
}

/**
 * How many of the rows that were counted have not been read. It fails no step: others may delete or change rows between
 * the plan and their page, and nobody can tell those from rows that were missed.
 */
function unreadOf(
  { expected, counted }: Omit<PlannedStep, 'status'>,
  { read, readSkipped }: Counters,
): Pick<StepState, 'unread'> {
  const unread = counted ? Number(expected ?? 0) - read - readSkipped : 0;
  return unread > 0 ? { unread } : {};
}

function stepLost({ claim, step }: StepKey): Error {
  return ledgerBehind(claim.instance, `it has no record of step ${step}`);
}

/** Completes a step. Null as a result is recorded as such. @throws LedgerBehind when the ledger has lost it. */
export async function setCompleted(transaction: Transaction, key: StepKey, result: unknown): Promise<void> {
  const completed = await transaction.run(
    whereStep(ledgerSql.updateTable('keystride.step'), key)
      .set({
        status: 'completed',
        epoch: key.claim.epoch,
        result: JSON.stringify(result ?? null),
        closed_at: sql<string>`now()`,
      })
      .returning('step'),
  );
  if (completed.length === 0) throw stepLost(key);
}

interface PartitionRow extends Counters {
  readonly partition: number;
  readonly done: boolean;
}

async function readPartitions(transaction: Transaction, key: StepKey): Promise<PartitionRow[]> {
  const rows = await transaction.run(
    whereStep(ledgerSql.selectFrom('keystride.checkpoint'), key)
      .select(['partition', 'done', 'read', 'read_skipped', 'filtered', 'written', 'skipped'])
      .orderBy('partition'),
  );
  return rows.map((row) => ({ partition: row.partition, done: row.done, ...countersOf(row) }));
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
