import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import {
  decodeFromPayloadsAtIndex,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { Counters, JobProgress, PageHeartbeat, StepProgress } from '../contract/progress.ts';
import { addCounters, addRetries, noCounters } from '../contract/progress.ts';
import { plain } from './format.ts';
import type { KnownProgress } from './ledger-figures.ts';

/** The `progress` query's answer with what only the pages that run at this moment know. */
export interface LiveProgress extends KnownProgress {
  readonly live: Live | null;
}

/** What the pages of an execution are doing now. */
interface Live {
  /** Items being processed at this moment, over all pages. */
  readonly inFlight: number;
  /** Items that commit together at present, in the page with the largest chunks; null when no page runs. */
  readonly chunkSize: number | null;
  /** Items that may be processed at a time at present, over all pages; null when no page runs. */
  readonly concurrency: number | null;
  /** Why pages wait, each reason once. */
  readonly waiting: readonly string[];
  /** The pages that run, as far as they have told. */
  readonly pages: readonly LivePage[];
}

/** A page that runs. */
export interface LivePage {
  readonly step: string;
  readonly partition: number;
  /** Rows that its partition has reached, all its pages included. */
  readonly done: number;
  readonly inFlight: number;
  /** Why it waits, or why its last attempt failed; null while it works. */
  readonly waiting: string | null;
}

/** What a pending activity tells: its heartbeat, and why its last attempt failed. */
interface PendingPage {
  readonly heartbeat: PageHeartbeat | undefined;
  readonly retrying: string | undefined;
}

/** More children than this are not asked one by one: their counters reach the query every few seconds anyway. */
const mostChildren = 32;

/** The heartbeats of an open run's pages, its partitions' included. */
export async function readHeartbeats(
  client: Client,
  description: WorkflowExecutionDescription,
): Promise<PendingPage[]> {
  // A job within the job has steps of its own.
  const children = (description.raw.pendingChildren ?? [])
    .filter(({ workflowTypeName }) => workflowTypeName === 'partition')
    .slice(0, mostChildren);
  const partitions = await Promise.all(
    children.map(({ workflowId, runId }) =>
      client.workflow
        .getHandle(workflowId ?? '', runId ?? undefined)
        .describe()
        // A child that has just closed has no page.
        .catch(() => undefined),
    ),
  );
  const open = [description, ...partitions.filter((partition) => partition !== undefined)];
  return (await Promise.all(open.map((run) => pendingPages(client, run)))).flat();
}

function pendingPages(client: Client, { raw }: WorkflowExecutionDescription): Promise<PendingPage[]> {
  return Promise.all(
    (raw.pendingActivities ?? []).map(async ({ heartbeatDetails, attempt, lastFailure }) => {
      const details: unknown = await decodeFromPayloadsAtIndex(
        client.options.loadedDataConverter,
        0,
        heartbeatDetails?.payloads,
      );
      const why = await decodeOptionalFailureToOptionalError(client.options.loadedDataConverter, lastFailure);
      const failed = why?.message ? `attempt ${attempt ?? '?'}: ${plain(why.message)}` : undefined;
      return { heartbeat: isHeartbeat(details) ? details : undefined, retrying: failed };
    }),
  );
}

function isHeartbeat(value: unknown): value is PageHeartbeat {
  return typeof value === 'object' && value !== null && 'counters' in value && 'partition' in value;
}

/**
 * Merges heartbeats into an answer of the query. Both count what has committed; whichever has come further is shown,
 * so that a figure is never older than it must be and never more than the truth.
 */
export function withHeartbeats(progress: JobProgress, pages: readonly PendingPage[]): LiveProgress {
  const beats = pages.flatMap(({ heartbeat }) => (heartbeat === undefined ? [] : [heartbeat]));
  const waiting = pages.flatMap(({ heartbeat, retrying }) => heartbeat?.waiting ?? retrying ?? []);
  const live: Live = {
    inFlight: beats.reduce((sum, { inFlight }) => sum + inFlight, 0),
    chunkSize: beats.length > 0 ? Math.max(...beats.map(({ chunkSize = 0 }) => chunkSize)) : null,
    concurrency: beats.length > 0 ? beats.reduce((sum, { concurrency = 0 }) => sum + concurrency, 0) : null,
    waiting: [...new Set(waiting)],
    pages: pages.flatMap(livePage),
  };
  return { ...progress, steps: progress.steps.map((step) => freshened(step, beats)), live };
}

/** What pages that have ended have tried again, and those that run. */
function retriesOf(
  { retries = {} }: StepProgress,
  beats: readonly PageHeartbeat[],
): Pick<StepProgress, 'retries'> {
  const all = beats.reduce((sum, beat) => addRetries(sum, beat.retries ?? {}), retries);
  return Object.keys(all).length > 0 ? { retries: all } : {};
}

function livePage({ heartbeat, retrying }: PendingPage): LivePage[] {
  if (heartbeat === undefined) return [];
  const { step, partition, counters, inFlight, waiting } = heartbeat;
  const done = counters.read + counters.readSkipped;
  return [{ step, partition, done, inFlight, waiting: waiting ?? retrying ?? null }];
}

function freshened(step: StepProgress, beats: readonly PageHeartbeat[]): StepProgress {
  if (step.status !== 'running') return step;
  const own = beats.filter((beat) => beat.step === step.step);
  const counters = own.reduce<Counters>((sum, beat) => addCounters(sum, beat.counters), noCounters);
  const further = counters.read + counters.readSkipped > step.read + step.readSkipped;
  return { ...step, ...(further ? counters : {}), ...retriesOf(step, own) };
}
