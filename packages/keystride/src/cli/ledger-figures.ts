import { sql } from 'kysely';
import type pg from 'pg';
import { loadSettings } from '../dev/settings.ts';
import { findJob } from './catalogue.ts';
import {
  addCounters,
  type JobProgress,
  type NestedRun,
  noCounters,
  withLedger,
} from '../contract/progress.ts';
import { stepFiguresOf, stepFiguresQuery } from '../stores/postgres/step-figures.ts';
import { migration } from '../stores/postgres/sql.ts';
import { reasonOf } from './explain.ts';
import { run as select, withLedger as withLedgerConnection } from './skips-ledger.ts';

/** Whose figures are shown, where they are not the workflow's own. */
export interface FiguresSource {
  /** `ledger`: read there. `unread`: it could not be, and what is shown may be old. */
  readonly from: 'ledger' | 'unread';
  /** The workflow that has the instance now, where it is another; or why the ledger could not be read. */
  readonly note: string | null;
}

/** The answer of the query, and where its figures are from. */
export interface KnownProgress extends JobProgress {
  readonly figures?: FiguresSource;
}

/**
 * The progress of a run that can tell no more itself, with what the ledger has of its instance: it failed, was stopped or
 * ended from outside, or no worker answers for it. A ledger that does not answer is no reason to show nothing.
 */
export async function withFiguresOfLedger(progress: JobProgress): Promise<KnownProgress> {
  try {
    return await withLedgerConnection((client) => completed(client, progress), impatient);
  } catch (error) {
    return { ...progress, figures: { from: 'unread', note: reasonOf(error) } };
  }
}

/** It is asked for more than can be told without it: nobody waits for it. In milliseconds. */
const impatient = 3_000;

async function completed(client: pg.Client, progress: JobProgress): Promise<KnownProgress> {
  const found = await findInstance(client, progress);
  if (!found) return progress;
  const { instance, parameters, job } = found;
  const figures = (await select(client, stepFiguresQuery(instance))).map(stepFiguresOf);
  const kinds = (await findJob(job))?.steps ?? {};
  const steps = await Promise.all(
    withLedger(progress.steps, figures, kinds).map(async (step) => {
      const nested = step.kind === 'job' ? (step.result as NestedRun | undefined) : undefined;
      if (!nested) return step;
      const inside = (await select(client, stepFiguresQuery(nested.instance))).map(stepFiguresOf);
      const { read, readSkipped, filtered, written, skipped } = inside.reduce(addCounters, noCounters);
      return { ...step, read, readSkipped, filtered, written, skipped };
    }),
  );
  const elsewhere =
    found.workflowId === progress.workflowId ? null : `workflow ${found.workflowId} has it now`;
  return {
    ...{ ...progress, instance, parameters: progress.parameters ?? parameters, steps },
    figures: { from: 'ledger', note: elsewhere },
  };
}

interface FoundInstance {
  readonly job: string;
  readonly instance: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly workflowId: string;
}

/** By the key that the run has told, else by the workflow that claimed it: one that was refused has claimed nothing. */
async function findInstance(
  client: pg.Client,
  { instance, workflowId }: JobProgress,
): Promise<FoundInstance | undefined> {
  const [row] = await select(
    client,
    migration
      .selectFrom('keystride.instance')
      .select(['job', 'instance_key', 'params', 'owner_workflow_id'])
      .where((which) =>
        instance === null
          ? which('owner_workflow_id', '=', workflowId)
          : which('instance_key', '=', instance),
      )
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  return (
    row && {
      job: row.job,
      instance: row.instance_key,
      parameters: row.params as Readonly<Record<string, unknown>>,
      workflowId: row.owner_workflow_id,
    }
  );
}

/** What has committed of an instance, by the workflow that ran it last. */
export interface Committed {
  /** The run that claimed it; one that continues it has another id. */
  readonly runId: string;
  readonly written: number;
  readonly skipped: number;
}

/**
 * What has committed of the instances that these workflows ran last; empty where the ledger is not known or does not
 * answer.
 */
export async function committedBy(workflowIds: readonly string[]): Promise<ReadonlyMap<string, Committed>> {
  if (workflowIds.length === 0 || loadSettings().databaseUrl === undefined) return new Map();
  const query = migration
    .selectFrom('keystride.instance')
    .leftJoin('keystride.checkpoint', 'keystride.checkpoint.instance_key', 'keystride.instance.instance_key')
    .where(sql<boolean>`owner_workflow_id = any(${workflowIds}::text[])`)
    .groupBy(['owner_workflow_id', 'owner_run_id'])
    .select([
      'owner_workflow_id',
      'owner_run_id',
      sql<string>`coalesce(sum(written), 0)`.as('written'),
      sql<string>`coalesce(sum(skipped), 0)`.as('skipped'),
    ]);
  try {
    const rows = await withLedgerConnection((client) => select(client, query), impatient);
    return new Map(
      rows.map((row) => [
        row.owner_workflow_id,
        { runId: row.owner_run_id, written: Number(row.written), skipped: Number(row.skipped) },
      ]),
    );
  } catch {
    return new Map();
  }
}
