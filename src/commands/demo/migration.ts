import type { JobDefinition, JobProgress } from 'keystride';
import {
  type LiveProgress,
  type Session,
  type StartedRun,
  startRequest,
  startRun,
  untilOpened,
  watch,
} from 'keystride/command';
import { documentMigration } from '../../contract/document-migration.ts';
import { targetSync } from '../../contract/target-sync.ts';
import type { StatisticsReport } from '../../stubs/legacy-api/statistics.ts';
import { lastCommitAt, readOutcome, type Outcome } from './data.ts';
import type { DemoParts } from './stack.ts';
import { Stub, type StubBehaviour } from './stub.ts';

/** One run of both jobs over all documents. */
export interface MigrationRequest {
  readonly documents: number;
  readonly inFlight: number;
  readonly behaviour: StubBehaviour;
  /** A number that no run before has used. */
  readonly run: number;
  /** Ends the watching. */
  readonly signal?: AbortSignal;
  readonly onStarted?: (run: StartedRun) => void;
}

/** What came of it. */
export interface MigrationResult {
  readonly progress: LiveProgress;
  readonly workflowId: string;
  readonly outcome: Outcome;
  readonly calls: StatisticsReport;
  /** From the first call of the API to the last commit; null when the step did not complete. */
  readonly seconds: number | null;
  /** What the API alone takes: every call in flight always busy, nothing else costing any time. */
  readonly apiLimitSeconds: number;
  /** The migration's own verification found no difference. */
  readonly verified: boolean;
}

/**
 * Runs targetSync, then documentMigration, and measures the second.
 * @returns undefined when the signal ended the watching
 */
export async function runMigration(
  session: Session,
  parts: DemoParts,
  request: MigrationRequest,
): Promise<MigrationResult | undefined> {
  const { documents, inFlight, behaviour, run } = request;
  const stub = new Stub(parts.config.legacyApiUrl);
  await stub.configure(behaviour);
  const sync = await runJob(session, targetSync, { run }, request);
  if (sync === undefined) return undefined;
  if (sync.status === 'completed') await stub.reset();
  const progress =
    sync.status === 'completed' ? await runJob(session, documentMigration, { run, inFlight }, request) : sync;
  if (progress === undefined) return undefined;
  const calls = await stub.statistics();
  return {
    progress,
    workflowId: progress.workflowId,
    outcome: await readOutcome(parts),
    calls,
    seconds: await secondsOf(parts, progress, calls),
    apiLimitSeconds: (Math.ceil(documents / inFlight) * behaviour.latency) / 1000,
    verified: isVerified(progress),
  };
}

async function runJob(
  session: Session,
  job: JobDefinition,
  input: Readonly<Record<string, unknown>>,
  { signal, onStarted }: MigrationRequest,
): Promise<LiveProgress | undefined> {
  const started = await startRun(session, startRequest(job, input));
  onStarted?.(started);
  await untilOpened(session, started);
  const { progress, closed } = await watch(session.client, started.workflowId, signal && { signal });
  return closed ? progress : undefined;
}

/** Both times are of one machine's clock. Where the database does not tell its last commit, the step's end stands for it. */
async function secondsOf(
  parts: DemoParts,
  { instance, steps }: JobProgress,
  { firstCallAt }: StatisticsReport,
): Promise<number | null> {
  const finishedAt = steps.find(({ step }) => step === 'fetchAndStore')?.finishedAt;
  if (!finishedAt || firstCallAt === null || instance === null) return null;
  const last = (await lastCommitAt(parts, instance, 'fetchAndStore')) ?? Date.parse(finishedAt);
  return Math.round(last - Date.parse(firstCallAt)) / 1000;
}

function isVerified({ status, steps }: JobProgress): boolean {
  const verify = steps.find(({ step }) => step === 'verify');
  return status.startsWith('completed') && verify?.status === 'completed';
}
