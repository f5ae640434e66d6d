import type pg from 'pg';
import { validate as isUuid } from 'uuid';
import { type ComparedPage, cursorOf, type Difference, type VerificationWork } from 'keystride';
import type { Resources } from '../../resources.ts';
import { hashOfFile, hashOfSentences, type SentenceExtract } from './document.ts';
import { orphans, removeOrphans } from './orphans.ts';
import { extractsOf, filesOf, namedFiles } from './store.ts';

/** Where the comparison goes on: first over the targets, then over what has no target. */
interface Position {
  readonly phase: 'targets' | 'jobs' | 'extracts' | 'files';
  readonly after: string;
  /** Whether everything compared so far was as it should be. */
  readonly clean: boolean;
  /** Preprocess jobs that targets have led to so far. */
  readonly jobsFound: number;
}

/** What PostgreSQL holds of a target. */
interface TargetRow {
  readonly id: string;
  readonly migrated: boolean;
  readonly preprocess_id: string | null;
  readonly job_id: string | null;
  readonly sentence_count: number | null;
  readonly sha256: string | null;
  readonly expected_code: number | null;
}

/** A few megabytes of text. */
const sentencesAtATime = 100_000;

/** Below every id of a job. */
const lowestUuid = '00000000-0000-0000-0000-000000000000';

const start: Position = { phase: 'targets', after: '0', clean: true, jobsFound: 0 };

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
    comparePage: async (position, limit) => {
      const at = (position ?? start) as Position;
      if (at.phase === 'targets') return compareTargets(resources, at, limit);
      if (at.phase === 'jobs') return findOrphanJobs(resources, at, limit);
      if (at.phase === 'extracts') return findOrphanExtracts(resources, at, limit);
      return findOrphanFiles(resources, at, limit);
    },
  };
}

async function compareTargets(
  { database, mongo }: Resources,
  at: Position,
  limit: number,
): Promise<ComparedPage> {
  const read = await readTargets(database, at.after, limit);
  const rows = affordable(read);
  const stored = rows.map(({ job_id }) => job_id).filter((id) => id !== null);
  const found = new Map<string, string | null>();
  const jobs = new Map(rows.map((row) => [row.job_id, row]));
  for await (const extract of extractsOf(mongo).find({ _id: { $in: stored } }, { batchSize: limit })) {
    const content = extract.fileId === undefined ? undefined : await filesOf(mongo).read(extract.fileId);
    found.set(extract._id, extractDifference(extract, content, jobs.get(extract._id)));
  }
  const differences = rows.flatMap((row): Difference[] => {
    const told = targetDifference(row, found);
    return told === null ? [] : [{ told, rerun: cursorOf([row.id]) }];
  });
  const last = rows.at(-1);
  const clean = at.clean && differences.length === 0;
  const jobsFound = at.jobsFound + stored.length;
  const position: Position =
    read.length < limit && rows.length === read.length
      ? { phase: 'jobs', after: lowestUuid, clean, jobsFound }
      : { phase: 'targets', after: last?.id ?? at.after, clean, jobsFound };
  return { position, compared: rows.length, differences };
}

/**
 * The rows at the front whose documents one answer of the server should hold: a page of large ones would not fit into
 * memory, and takes a slow server longer than a connection waits.
 */
function affordable(rows: readonly TargetRow[]): readonly TargetRow[] {
  let sentences = 0;
  const tooMany = rows.findIndex((row, index) => {
    sentences += row.sentence_count ?? 0;
    return index > 0 && sentences > sentencesAtATime;
  });
  return tooMany < 0 ? rows : rows.slice(0, tooMany);
}

async function readTargets(pool: pg.Pool, after: string, limit: number): Promise<TargetRow[]> {
  const { rows } = await pool.query<TargetRow>(
    `SELECT target.id, target.migrated, target.preprocess_id, job.id AS job_id, job.sentence_count, job.sha256,
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

/** @param found for each document that MongoDB has, what is wrong with it, or null. */
function targetDifference(row: TargetRow, found: ReadonlyMap<string, string | null>): string | null {
  const name = `target ${row.id}`;
  if (!row.migrated) return `${name}: not migrated`;
  if (row.expected_code !== null)
    return row.job_id === null ? null : `${name}: both expected to fail and stored`;
  if (row.job_id === null) return `${name}: migrated, without a preprocess job`;
  if (row.preprocess_id !== row.job_id) return `${name}: names another preprocess job than its own`;
  const difference = found.get(row.job_id);
  if (difference === undefined) return `${name}: no document in sentence_extract`;
  return difference === null ? null : `${name}: ${difference}`;
}

function extractDifference(
  extract: SentenceExtract,
  file: Buffer | undefined,
  row: TargetRow | undefined,
): string | null {
  if (extract.fileId !== undefined && !file) return 'the file of its document is missing';
  const sha256 = file ? hashOfFile(file) : hashOfSentences(extract.sentences ?? []);
  if (sha256 !== extract.sha256) return 'the content of its document has another hash than the document says';
  if (row?.sha256 !== extract.sha256) return 'document and preprocess job differ in sha256';
  if (row.sentence_count !== extract.sentenceCount)
    return 'document and preprocess job differ in sentence count';
  return null;
}

async function findOrphanJobs({ database }: Resources, at: Position, limit: number): Promise<ComparedPage> {
  const extracts: Position = { ...at, phase: 'extracts', after: '' };
  // Each target leads to one job at most; when there are as many of both, there is no other job.
  if (at.after === lowestUuid && (await countJobs(database)) === at.jobsFound)
    return { position: extracts, compared: 0, differences: [] };
  const { rows } = await database.query<{ id: string }>(
    `SELECT job.id FROM preprocess_job AS job
      WHERE job.id > $1::uuid
        AND NOT EXISTS (SELECT FROM migration_target AS target WHERE target.ticket_key = job.ticket_key)
      ORDER BY job.id
      LIMIT $2`,
    [at.after, limit],
  );
  const last = rows.at(-1);
  const clean = at.clean && !last;
  const position: Position =
    rows.length < limit || !last ? { ...extracts, clean } : { ...at, after: last.id, clean };
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

async function findOrphanExtracts(resources: Resources, at: Position, limit: number): Promise<ComparedPage> {
  const { database, mongo } = resources;
  // Every job has its document; when there are as many of both, there is no other document.
  if (at.after === '' && at.clean && (await asManyExtractsAsJobs(resources))) {
    return {
      position: { ...at, phase: 'files', after: '' } satisfies Position,
      compared: 0,
      differences: [],
    };
  }
  const extracts = extractsOf(mongo).find({ _id: { $gt: at.after } }, { projection: { _id: 1 } });
  const ids = (await extracts.sort({ _id: 1 }).limit(limit).toArray()).map(({ _id }) => _id);
  const { rows } = await database.query<{ id: string }>(
    'SELECT job.id FROM preprocess_job AS job WHERE job.id = ANY($1::uuid[])',
    [ids.filter((id) => isUuid(id))],
  );
  const led = new Set(rows.map(({ id }) => id));
  const unled = ids
    .filter((id) => !led.has(id))
    .map((id) => ({
      told: `document ${id}: no preprocess job leads to it`,
      remove: cursorOf([orphans.document, id]),
    }));
  const last = ids.at(-1);
  const clean = at.clean && unled.length === 0;
  const position: Position =
    ids.length < limit || !last ? { ...at, phase: 'files', after: '', clean } : { ...at, after: last, clean };
  return { position, compared: 0, differences: unled };
}

async function asManyExtractsAsJobs({ database, mongo }: Resources): Promise<boolean> {
  return (await extractsOf(mongo).countDocuments({})) === (await countJobs(database));
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
