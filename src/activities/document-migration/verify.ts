import type pg from 'pg';
import { type ComparedPage, cursorOf, type Difference, type VerificationWork } from 'keystride';
import type { Resources } from '../../resources.ts';
import { beforeExtracts, compareExtracts, type ExtractsPosition } from './compare-extracts.ts';
import { orphans, removeOrphans } from './orphans.ts';
import { filesOf, namedFiles } from './store.ts';

/** Where the comparison goes on: first over the targets, then over what has no target. */
interface Position {
  readonly phase: 'targets' | 'jobs' | 'files';
  readonly after: string;
  /** Preprocess jobs that targets have led to so far. */
  readonly jobsFound: number;
  /**
   * Where the comparison of documents goes on, between jobs and files. A worker of an earlier build does not know it, and
   * compared documents with the targets: the phase tells it to begin anew.
   */
  readonly documents?: ExtractsPosition;
}

/** What PostgreSQL holds of a target. */
interface TargetRow {
  readonly id: string;
  readonly migrated: boolean;
  readonly preprocess_id: string | null;
  readonly job_id: string | null;
  readonly expected_code: number | null;
}

const start: Position = { phase: 'targets', after: '0', jobsFound: 0 };

/**
 * Compares what documentMigration has written, key by key: every target is either stored or expected to fail; what is
 * stored has its job, its document and (if large) its file, whose content hashes to what both sides say; and nothing
 * is stored that no target leads to.
 */
export function compareDocuments(resources: Resources): VerificationWork {
  return {
    repair: {
      step: 'fetchAndStore',
      // A job that no target leads to is told alone: nobody knows where it came from.
      clear: (keys, fence, ledger) => removeOrphans(resources, keys, { fence, ledger }),
    },
    comparePage: async (position, limit, signal) => {
      const at = (position ?? start) as Position;
      if (at.documents) return compareDocumentsOfJobs(resources, at.documents, limit, signal);
      if (at.phase === 'targets') return compareTargets(resources, at, limit);
      if (at.phase === 'jobs') return findOrphanJobs(resources, at, limit);
      if (at.phase === 'files') return findOrphanFiles(resources, at, limit);
      // An earlier build's, which looked here for what no job leads to.
      return compareDocumentsOfJobs(resources, beforeExtracts, limit, signal);
    },
  };
}

async function compareTargets({ database }: Resources, at: Position, limit: number): Promise<ComparedPage> {
  const rows = await readTargets(database, at.after, limit);
  const differences = rows.flatMap((row): Difference[] => {
    const told = targetDifference(row);
    return told === null ? [] : [{ told, rerun: cursorOf([row.id]) }];
  });
  const jobsFound = at.jobsFound + rows.filter(({ job_id }) => job_id !== null).length;
  const last = rows.at(-1);
  const position: Position =
    rows.length < limit || !last
      ? { phase: 'jobs', after: beforeExtracts.job, jobsFound }
      : { phase: 'targets', after: last.id, jobsFound };
  return { position, compared: rows.length, differences };
}

async function readTargets(pool: pg.Pool, after: string, limit: number): Promise<TargetRow[]> {
  const { rows } = await pool.query<TargetRow>(
    `SELECT target.id, target.migrated, target.preprocess_id, job.id AS job_id,
            expected.code AS expected_code
       FROM migration_target AS target
       LEFT JOIN preprocess_job AS job USING (ticket_key)
       LEFT JOIN expected_migration_target AS expected ON expected.migration_target_id = target.id
      WHERE target.id > $1::bigint
      ORDER BY target.id
      LIMIT $2`,
    [after, limit],
  );
  return rows;
}

function targetDifference(row: TargetRow): string | null {
  const name = `target ${row.id}`;
  if (!row.migrated) return `${name}: not migrated`;
  if (row.expected_code !== null)
    return row.job_id === null ? null : `${name}: both expected to fail and stored`;
  if (row.job_id === null) return `${name}: migrated, without a preprocess job`;
  if (row.preprocess_id !== row.job_id) return `${name}: names another preprocess job than its own`;
  return null;
}

async function findOrphanJobs({ database }: Resources, at: Position, limit: number): Promise<ComparedPage> {
  // Each target leads to one job at most; when there are as many of both, there is no other job.
  if (at.after === beforeExtracts.job && (await countJobs(database)) === at.jobsFound)
    return { position: documentsAbove(beforeExtracts), compared: 0, differences: [] };
  const { rows } = await database.query<{ id: string }>(
    `SELECT job.id FROM preprocess_job AS job
      WHERE job.id > $1::uuid
        AND NOT EXISTS (SELECT FROM migration_target AS target WHERE target.ticket_key = job.ticket_key)
      ORDER BY job.id
      LIMIT $2`,
    [at.after, limit],
  );
  const last = rows.at(-1);
  const position: Position =
    rows.length < limit || !last ? documentsAbove(beforeExtracts) : { ...at, after: last.id };
  return {
    position,
    compared: 0,
    differences: rows.map(({ id }) => ({ told: `preprocess job ${id}: no target leads to it` })),
  };
}

async function countJobs(database: pg.Pool): Promise<number> {
  const { rows } = await database.query<{ jobs: string }>('SELECT count(*) AS jobs FROM preprocess_job');
  return Number(rows[0]?.jobs);
}

async function compareDocumentsOfJobs(
  resources: Resources,
  after: ExtractsPosition,
  limit: number,
  signal: AbortSignal,
): Promise<ComparedPage> {
  const { position, ...compared } = await compareExtracts(resources, after, limit, signal);
  return {
    ...compared,
    position: position
      ? documentsAbove(position)
      : ({ phase: 'files', after: '', jobsFound: 0 } satisfies Position),
  };
}

function documentsAbove(documents: ExtractsPosition): Position {
  return { ...start, documents };
}

async function findOrphanFiles({ mongo }: Resources, at: Position, limit: number): Promise<ComparedPage> {
  const files = filesOf(mongo);
  const ids = await files.idsAbove(at.after, limit);
  const named = await namedFiles(mongo, ids);
  const unnamed = ids.filter((id) => !named.has(id)).map((id) => leftFile(id, 'no document leads to it'));
  const last = ids.at(-1);
  if (ids.length === limit && last)
    return { position: { ...at, after: last }, compared: 0, differences: unnamed };
  const unfinished = (await files.unfinished()).map((id) => leftFile(id, 'chunks without a file'));
  return { position: null, compared: 0, differences: [...unnamed, ...unfinished] };
}

/** A file that an attempt has left which died, or was overtaken: nothing that has committed depends on it. */
function leftFile(id: string, told: string): Difference {
  return { told: `file ${id}: ${told}`, leftover: true, remove: cursorOf([orphans.file, id]) };
}
