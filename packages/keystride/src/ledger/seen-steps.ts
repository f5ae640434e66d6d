import type { Claim } from '../contract/claim.ts';
import type { SeenStep } from '../contract/step-activities.ts';
import { failure } from '../contract/errors.ts';
import { addCounters, type Counters, noCounters } from '../contract/progress.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { countersOf } from './checkpoint.ts';

/** Partitions of a step that are named. */
const mostNamed = 5;

interface StepRow {
  readonly status: string;
  readonly epoch: number;
}

interface PartitionRow extends Counters {
  readonly partition: number;
  readonly upper: string | null;
  readonly cursor: string | null;
  readonly done: boolean;
}

/**
 * Compares what a run has seen completed with the ledger: each step completed there, by this claim where this run has
 * done it, with the figures that were answered, and each nested job too.
 *
 * @returns what the ledger has lost and another pass through the flow does again, in words: steps, ranges and rows.
 * @throws BooksDoNotBalance where a completed step has other figures than were answered: nobody knows which rows differ,
 * and another pass would take them for done.
 */
export async function lostSteps(
  transaction: Transaction,
  claim: Claim,
  saw: readonly SeenStep[],
): Promise<readonly string[]> {
  const lost: string[] = [];
  const own = saw.filter(({ kind }) => kind !== 'job');
  const steps = await stepsOf(transaction, claim, own);
  for (const seen of own) {
    const row = steps.get(seen.step);
    const completed = row?.status === 'completed' && (!seen.own || row.epoch >= claim.epoch);
    const partitions = seen.kind === 'chunk' ? await partitionsOf(transaction, claim, seen.step) : [];
    if (!completed) lost.push(lossOf(seen, row, partitions));
    else if (seen.kind === 'chunk') refuseOtherFigures(claim, seen, partitions);
  }
  return [...lost, ...(await lostJobs(transaction, saw))];
}

async function stepsOf(
  transaction: Transaction,
  { instance }: Claim,
  saw: readonly SeenStep[],
): Promise<ReadonlyMap<string, StepRow>> {
  if (saw.length === 0) return new Map();
  const rows = await transaction.run(
    ledgerSql
      .selectFrom('keystride.step')
      .select(['step', 'status', 'epoch'])
      .where('instance_key', '=', instance),
  );
  return new Map(rows.map(({ step, status, epoch }) => [step, { status, epoch: Number(epoch) }]));
}

async function partitionsOf(
  transaction: Transaction,
  { instance }: Claim,
  step: string,
): Promise<PartitionRow[]> {
  const rows = await transaction.run(
    ledgerSql
      .selectFrom('keystride.checkpoint')
      .selectAll()
      .where('instance_key', '=', instance)
      .where('step', '=', step)
      .orderBy('partition'),
  );
  return rows.map((row) => ({ ...row, ...countersOf(row) }));
}

function lossOf(
  { step, counters }: SeenStep,
  row: StepRow | undefined,
  partitions: readonly PartitionRow[],
): string {
  const seen = `step ${step} was seen completed${counters ? ` (${figuresOf(counters)})` : ''}`;
  if (!row) return `${seen} and has no record there`;
  if (row.status === 'completed') return `${seen} and is there as an earlier execution completed it`;
  const open = partitions.filter(({ done }) => !done);
  const named = open
    .slice(0, mostNamed)
    .map(
      ({ partition, cursor, upper }) =>
        `${partition} above ${cursor ?? 'its start'} up to ${upper ?? 'the end'}`,
    );
  const more = open.length > named.length ? ` and ${open.length - named.length} more` : '';
  const ranges = open.length > 0 ? `, in doubt are partitions ${named.join('; ')}${more}` : '';
  return `${seen} and is open there${counters ? ` (${figuresOf(totalOf(partitions))})` : ''}${ranges}`;
}

function refuseOtherFigures(claim: Claim, { step, counters }: SeenStep, partitions: readonly PartitionRow[]) {
  if (!counters) return;
  const found = totalOf(partitions);
  const names = ['read', 'readSkipped', 'filtered', 'written', 'skipped'] as const;
  if (names.every((name) => found[name] === counters[name])) return;
  throw failure(
    'BooksDoNotBalance',
    `${claim.instance}: the ledger is behind the history, or was changed: step ${step} was seen completed with ${figuresOf(counters)}, and stands there completed with ${figuresOf(found)}. ` +
      `Compare source and target: ${keystride} verify ${shellWord(claim.instance)}`,
  );
}

async function lostJobs(transaction: Transaction, saw: readonly SeenStep[]): Promise<string[]> {
  const nested = saw.flatMap(({ step, instance }) => (instance === undefined ? [] : [{ step, instance }]));
  if (nested.length === 0) return [];
  const instances = nested.map(({ instance }) => instance);
  const rows = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select('instance_key')
      .where('instance_key', 'in', instances)
      .where('status', '=', 'completed'),
  );
  const completed = new Set(rows.map((row) => row.instance_key));
  return nested
    .filter(({ instance }) => !completed.has(instance))
    .map(({ step, instance }) => `step ${step}, the job ${instance}, was seen completed and is not there`);
}

function totalOf(partitions: readonly PartitionRow[]): Counters {
  return partitions.reduce<Counters>(addCounters, noCounters);
}

function figuresOf({ read, readSkipped, written, filtered, skipped }: Counters): string {
  return `read ${read + readSkipped}, written ${written}, filtered ${filtered}, skipped ${skipped}`;
}
