import { sql } from 'kysely';
import { failure } from '../contract/errors.ts';
import { redriveKey } from '../contract/redrive.ts';
import { enterChange, type RunStart } from './audit.ts';
import { refuseOtherProject } from './project.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { alreadyRunning, type IsOpen } from './claim.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import type { Ledger } from './ledger.ts';

/** Which skips a redrive is to run: the open ones of an instance, fewer where more is said. */
export interface SkipSelection {
  readonly instance: string;
  readonly step?: string | undefined;
  readonly fingerprint?: string | undefined;
  readonly keys?: readonly string[] | undefined;
}

export interface RedriveRequest {
  readonly selection: SkipSelection;
  /** Recorded with the redrive's own instance. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly workflowId: string;
  readonly runId: string;
  /** Of Temporal, that the run is in. */
  readonly namespace?: string | undefined;
  /** The highest epoch that other stores have seen of the instance. @default 0 */
  readonly seenElsewhere?: number;
  /** Entered in the audit with the claim. */
  readonly start?: RunStart;
}

/** An instance in the ledger. */
export interface LedgerInstance {
  readonly instance: string;
  readonly job: string;
  readonly parameters: unknown;
  readonly epoch: number;
  readonly workflowId: string;
  readonly runId: string;
  readonly namespace: string | null;
  readonly project: string | null;
  readonly status: string;
  /** The instance whose skips it runs again; null for a job's own. */
  readonly redrives: string | null;
  /** Its skips were given up: there is nothing of them to run again. */
  readonly pruned: boolean;
}

/** An instance, and the redrives of its skips by their number. */
interface Family {
  readonly original: LedgerInstance;
  readonly redrives: readonly LedgerInstance[];
}

/**
 * Takes the selected open skips of an instance in hand, as a new instance with a number of its own.
 *
 * A redrive that failed, was stopped or was terminated is not continued: what it has not done is still open, and the
 * next one takes it. Should the earlier one be a ghost that is still at work, none of its chunks commits any more: its
 * checkpoints have another epoch, and its items are no longer its own. Asked again by the same run, the answer is the
 * same.
 *
 * The epoch is above those of the instance and of all its redrives: stores that refuse to overwrite what a later epoch
 * has written see them as one line of executions.
 *
 * @throws JobExecutionAlreadyRunning when the instance or another redrive of it runs; NothingToRedrive.
 */
export async function claimRedrive(
  ledger: Ledger,
  request: RedriveRequest,
  isOpen: IsOpen,
): Promise<{ readonly instance: string; readonly epoch: number }> {
  for (;;) {
    const seen = await ledger.transaction((transaction) =>
      readFamily(transaction, request.selection.instance),
    );
    const mine = seen.redrives.find(
      ({ workflowId, runId }) => workflowId === request.workflowId && runId === request.runId,
    );
    if (mine) return mine;
    await refuseWhileRunning(seen, request, isOpen);
    const begun = await ledger.transaction((transaction) => begin(transaction, request, seen));
    if (begun) return begun;
  }
}

/**
 * The instance whose skips are asked for.
 *
 * @throws JobParametersInvalid when there is none, or when it is a redrive itself; OtherProject.
 */
export async function findOriginal(ledger: Ledger, instance: string): Promise<LedgerInstance> {
  const { original } = await ledger.transaction((transaction) => readFamily(transaction, instance));
  refuseOtherProject(ledger.project, instance, original.project);
  if (original.redrives === null) return original;
  throw failure(
    'JobParametersInvalid',
    `${instance} is itself a redrive: what it left open belongs to ${original.redrives}. Redrive that one.`,
  );
}

/** The steps that have open skips of the selection. */
export async function stepsWithSkips(ledger: Ledger, selection: SkipSelection): Promise<string[]> {
  const query = openSkips(selection).select('step').distinct();
  return (await ledger.run(query)).map(({ step }) => step);
}

async function readFamily(transaction: Transaction, instance: string): Promise<Family> {
  const rows = await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .selectAll()
      .where((row) => row.or([row('instance_key', '=', instance), row('redrives', '=', instance)]))
      .orderBy('opened_at'),
  );
  const members = rows.map((row): LedgerInstance => ({
    instance: row.instance_key,
    job: row.job,
    parameters: row.params,
    epoch: Number(row.epoch),
    workflowId: row.owner_workflow_id,
    runId: row.owner_run_id,
    namespace: row.owner_namespace,
    project: row.project,
    status: row.status,
    redrives: row.redrives,
    pruned: row.pruned_at !== null,
  }));
  const original = members.find((member) => member.instance === instance);
  if (original) return { original, redrives: members.filter((member) => member !== original) };
  throw failure(
    'JobParametersInvalid',
    `the ledger knows no instance ${instance}, so there is nothing to redrive. See: ${keystride} list`,
  );
}

async function refuseWhileRunning(
  { original, redrives }: Family,
  { workflowId, namespace }: RedriveRequest,
  isOpen: IsOpen,
): Promise<void> {
  for (const member of [original, ...redrives]) {
    const mine = member.workflowId === workflowId && (member.namespace ?? namespace) === namespace;
    if (!mine && member.status === 'running' && (await isOpen(member.workflowId, member.namespace)))
      throw alreadyRunning(member.instance, member.workflowId, member.namespace);
  }
}

/** @returns undefined when the family has changed since it was seen. */
async function begin(transaction: Transaction, request: RedriveRequest, seen: Family) {
  const { selection } = request;
  // Whoever redrives or waives skips of this instance comes one after another.
  await transaction.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select('epoch')
      .where('instance_key', '=', selection.instance)
      .forUpdate(),
  );
  const now = await readFamily(transaction, selection.instance);
  if (signatureOf(now) !== signatureOf(seen)) return undefined;
  if (now.original.pruned) throw nothingToRedrive(selection);
  for (const { instance, status } of now.redrives)
    if (status === 'running') await shutOut(transaction, instance);
  const family = await readFamily(transaction, selection.instance);
  const instance = redriveKey(selection.instance, family.redrives.length + 1);
  const epochs = [family.original, ...family.redrives].map((member) => member.epoch);
  const epoch = 1 + Math.max(request.seenElsewhere ?? 0, ...epochs);
  await transaction.run(
    ledgerSql.insertInto('keystride.instance').values({
      instance_key: instance,
      job: 'redrive',
      params: JSON.stringify(request.parameters),
      epoch,
      owner_workflow_id: request.workflowId,
      owner_run_id: request.runId,
      owner_namespace: request.namespace ?? null,
      project: seen.original.project,
      status: 'running',
      redrives: selection.instance,
    }),
  );
  const skips = await takeSkips(transaction, selection, instance);
  if (skips === 0) throw nothingToRedrive(selection);
  if (request.start) {
    const after = { skips, ...selectionTold(selection) };
    const { job } = family.original;
    await enterChange(transaction, {
      ...request.start,
      ...{ action: 'skips redrive', job, instance: selection.instance, after },
    });
  }
  return { instance, epoch };
}

/** What an entry tells of a selection: how many keys, not which. */
function selectionTold({ step, fingerprint, keys }: SkipSelection) {
  return { step, fingerprint, ...(keys && { keys: keys.length }) };
}

function signatureOf({ original, redrives }: Family): string {
  return JSON.stringify(
    [original, ...redrives].map(({ instance, epoch, runId, status }) => [instance, epoch, runId, status]),
  );
}

/** Ends a redrive that nobody runs any more, and whatever may still be at work for it. */
async function shutOut(transaction: Transaction, instance: string): Promise<void> {
  const epoch = sql<string>`epoch + 1`;
  await transaction.run(
    ledgerSql
      .updateTable('keystride.instance')
      .set({ epoch, status: 'stopped', closed_at: sql<string>`now()` })
      .where('instance_key', '=', instance),
  );
  await transaction.run(
    ledgerSql.updateTable('keystride.checkpoint').set({ epoch }).where('instance_key', '=', instance),
  );
}

/** Numbers the open skips of the selection, step by step, as those of this redrive. @returns how many */
async function takeSkips(
  transaction: Transaction,
  selection: SkipSelection,
  redrive: string,
): Promise<number> {
  const numbered = openSkips(selection).select([
    'step as of_step',
    'item_key as of_item',
    'phase as of_phase',
    sql<number>`row_number() over (partition by step order by partition, created_at, item_key) - 1`.as(
      'number',
    ),
  ]);
  const taken = await transaction.run(
    ledgerSql
      .with('numbered', () => numbered)
      .updateTable('keystride.skip')
      .from('numbered')
      .set({ redrive, place: sql<number>`numbered.number` })
      .where('instance_key', '=', selection.instance)
      .where('status', '=', 'open')
      .whereRef('keystride.skip.step', '=', 'numbered.of_step')
      .whereRef('keystride.skip.item_key', '=', 'numbered.of_item')
      .whereRef('keystride.skip.phase', '=', 'numbered.of_phase')
      .returning('place'),
  );
  return taken.length;
}

function openSkips({ instance, step, fingerprint, keys }: SkipSelection) {
  let query = ledgerSql
    .selectFrom('keystride.skip')
    .where('instance_key', '=', instance)
    .where('status', '=', 'open');
  if (step !== undefined) query = query.where('step', '=', step);
  if (fingerprint !== undefined) query = query.where('fingerprint', '=', fingerprint);
  if (keys !== undefined) query = query.where(sql<boolean>`item_key = any(${keys}::text[])`);
  return query;
}

/** The failure of a redrive that no open skip is meant by. */
function nothingToRedrive({ instance, step, fingerprint, keys }: SkipSelection) {
  const narrowed = step !== undefined || fingerprint !== undefined || keys !== undefined;
  return failure(
    'NothingToRedrive',
    `${instance} has no open skip${narrowed ? ' of those that were asked for' : ''}: there is nothing to redrive. ` +
      `See: ${keystride} skips ${shellWord(instance)} list`,
  );
}
