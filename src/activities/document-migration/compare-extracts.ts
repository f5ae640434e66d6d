import type pg from 'pg';
import { type Db, MongoGridFSChunkError } from 'mongodb';
import { type ComparedPage, cursorOf, type Difference } from 'keystride';
import type { FileStore } from 'keystride/mongo';
import type { Resources } from '../../resources.ts';
import { hashOfFile, hashOfSentences, type SentenceExtract } from './document.ts';
import { orphans } from './orphans.ts';
import { extractsOf, filesOf } from './store.ts';

/** The last of each store's keys that was compared. */
export interface ExtractsPosition {
  readonly job: string;
  readonly document: string;
}

/** Below every id of a job, and of a document. */
export const beforeExtracts: ExtractsPosition = { job: '00000000-0000-0000-0000-000000000000', document: '' };

/** What PostgreSQL holds of a document. */
interface JobRow {
  readonly id: string;
  readonly sentence_count: number;
  readonly sha256: string;
  /** The target that leads to it; null where none does, or where it was told already what is wrong with it. */
  readonly target: string | null;
}

/** Tens of megabytes of text: seconds of a page. */
const sentencesOfPage = 500_000;

/** What one answer of the server should hold: a few megabytes, which fit into memory, and which a slow server makes in time. */
const answer = { sentences: 100_000, documents: 100 };

/** Each of them has an answer of the server in memory. */
const filesAtOnce = 4;

/**
 * Compares the documents of a range of ids with the jobs that lead to them: the range of the next `limit` jobs, and at the
 * end whatever is above. Each document is read once, as the store gives it out, and none is asked for by its id.
 *
 * @returns the page, whose position is null when both stores are at their ends.
 */
export async function compareExtracts(
  { database, mongo }: Resources,
  after: ExtractsPosition,
  limit: number,
  signal: AbortSignal,
): Promise<ComparedPage & { readonly position: ExtractsPosition | null }> {
  const read = await readJobs(database, after.job, limit);
  const jobs = affordable(read);
  const last = jobs.length < limit && jobs.length === read.length ? undefined : jobs.at(-1)?.id;
  const seen = await readExtracts(mongo, new Map(jobs.map((job) => [job.id, job])), {
    after: after.document,
    upTo: last,
    mostUnled: limit,
    signal,
  });
  const end = seen.cutAt ?? last;
  const differences = jobs.flatMap(({ id, target }): Difference[] => {
    if (target === null || (end !== undefined && id > end)) return [];
    const found = seen.found.get(id);
    if (found === null) return [];
    return [
      { told: `target ${target}: ${found ?? 'no document in sentence_extract'}`, rerun: cursorOf([target]) },
    ];
  });
  const unled = seen.unled.map((id) => ({
    told: `document ${id}: no preprocess job leads to it`,
    remove: cursorOf([orphans.document, id]),
  }));
  const job = jobs.findLast(({ id }) => end !== undefined && id <= end)?.id ?? after.job;
  const position = end === undefined ? null : { job, document: end };
  return { position, compared: 0, differences: [...differences, ...unled] };
}

async function readJobs(pool: pg.Pool, after: string, limit: number): Promise<JobRow[]> {
  const { rows } = await pool.query<JobRow>(
    `SELECT job.id, job.sentence_count, job.sha256,
            CASE WHEN target.migrated AND target.preprocess_id = job.id AND expected.id IS NULL THEN target.id END AS target
       FROM preprocess_job AS job
       LEFT JOIN migration_target AS target USING (ticket_key)
       LEFT JOIN expected_migration_target AS expected ON expected.migration_target_id = target.id
      WHERE job.id > $1::uuid
      ORDER BY job.id
      LIMIT $2`,
    [after, limit],
  );
  return rows;
}

/** The jobs at the front whose documents can be read within a page. */
function affordable(jobs: readonly JobRow[]): readonly JobRow[] {
  let sentences = 0;
  const tooMany = jobs.findIndex((job, index) => {
    sentences += job.sentence_count;
    return index > 0 && sentences > sentencesOfPage;
  });
  return tooMany < 0 ? jobs : jobs.slice(0, tooMany);
}

interface SeenExtracts {
  /** For each document that a job leads to: what is wrong with it, or null. */
  readonly found: ReadonlyMap<string, string | null>;
  /** Documents that no job leads to. */
  readonly unled: readonly string[];
  /** The last document that was read, where too many were found that no job leads to. */
  readonly cutAt: string | undefined;
}

interface ExtractsRange {
  readonly after: string;
  readonly upTo: string | undefined;
  /** Documents without a job that are told in a page. */
  readonly mostUnled: number;
  readonly signal: AbortSignal;
}

/** Reads the documents above `after`, up to `upTo` or to the end, in the order of their ids; then their files. */
async function readExtracts(
  mongo: Db,
  jobs: ReadonlyMap<string, JobRow>,
  { after, upTo, mostUnled, signal }: ExtractsRange,
): Promise<SeenExtracts> {
  const found = new Map<string, string | null>();
  const unled: string[] = [];
  const inFiles: (() => Promise<unknown>)[] = [];
  const ids = upTo === undefined ? { $gt: after } : { $gt: after, $lte: upTo };
  const extracts = extractsOf(mongo).find({ _id: ids }, { batchSize: documentsOfAnswer(jobs), signal });
  let cutAt: string | undefined;
  for await (const extract of extracts.sort({ _id: 1 })) {
    const { _id: id, fileId, sentences = [] } = extract;
    const job = jobs.get(id);
    if (!job) unled.push(id);
    else if (fileId === undefined) found.set(id, extractDifference(extract, hashOfSentences(sentences), job));
    else inFiles.push(async () => found.set(id, await fileDifference(filesOf(mongo), extract, fileId, job)));
    if (unled.length < mostUnled) continue;
    cutAt = id;
    break;
  }
  await inParallel(inFiles, signal);
  return { found, unled, cutAt };
}

/** So many documents that an answer has no more sentences than it should, wherever the largest of them are. */
function documentsOfAnswer(jobs: ReadonlyMap<string, JobRow>): number {
  const largest = Math.max(1, ...[...jobs.values()].map((job) => job.sentence_count));
  return Math.max(1, Math.min(answer.documents, Math.floor(answer.sentences / largest)));
}

async function inParallel(tasks: readonly (() => Promise<unknown>)[], signal: AbortSignal): Promise<void> {
  const left = tasks.values();
  const work = async () => {
    for (const task of left) {
      signal.throwIfAborted();
      await task();
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, work));
}

async function fileDifference(
  files: FileStore,
  extract: SentenceExtract,
  fileId: string,
  job: JobRow,
): Promise<string | null> {
  const parts = await files.open(fileId);
  if (!parts) return 'the file of its document is missing';
  try {
    return extractDifference(extract, await hashOfFile(parts), job);
  } catch (error) {
    if (error instanceof MongoGridFSChunkError) return 'the file of its document lacks a part';
    throw error;
  }
}

function extractDifference(extract: SentenceExtract, sha256: string, job: JobRow): string | null {
  if (sha256 !== extract.sha256) return 'the content of its document has another hash than the document says';
  if (job.sha256 !== extract.sha256) return 'document and preprocess job differ in sha256';
  if (job.sentence_count !== extract.sentenceCount)
    return 'document and preprocess job differ in sentence count';
  return null;
}
