import { readAudit, type EnteredChange } from '../../../ledger/audit.ts';
import { followsLog } from '../../../contract/sync.ts';
import type { PartitionFigures } from '../../../ledger/partition-figures.ts';
import { doneOf, remainingSeconds } from '../../../operator/figures.ts';
import { uiUrlOf } from '../../../operator/connection.ts';
import { readExecution, type Execution } from '../../../operator/execution.ts';
import { reasonOf } from '../../../operator/explain.ts';
import type { LivePage, LiveProgress } from '../../../operator/heartbeats.ts';
import { instanceRuns, type InstanceRun } from '../../../operator/instance-runs.ts';
import { withLedger } from '../../../operator/ledger.ts';
import { nextCommands } from '../../../operator/next-commands.ts';
import { noticeTermination } from '../../../operator/notice.ts';
import { partitionsOf, type StepPartitions } from '../../../operator/partitions.ts';
import { streamOfRun } from '../../../operator/syncs/kept.ts';
import type { StreamLag } from '../../../operator/syncs/lag.ts';
import { verificationsOf, type AskedVerification } from '../../../operator/verify.ts';
import { ratesOf, type Series } from '../../live/series.ts';
import type { Visit } from '../../visit.ts';

/** What the page of a run shows. */
export interface RunData {
  readonly runId: string;
  /** Nothing will change any more. */
  readonly closed: boolean;
  readonly uiUrl: string | null;
  readonly progress: LiveProgress;
  /** Rows a second now, and seconds until all that is expected is done; null where nobody can tell. */
  readonly perSecond: number | null;
  readonly remainingSeconds: number | null;
  /** Rows a second since it began, as closely as somebody has looked. */
  readonly rates: readonly { readonly at: number; readonly perSecond: number }[];
  readonly strips: readonly Strip[];
  /** Why the partitions could not be read; null when they could. */
  readonly ledgerAway: string | null;
  readonly executions: readonly InstanceRun[];
  readonly verifications: readonly AskedVerification[];
  /** What people have changed, the last one first; the last ten. Empty where the ledger cannot be asked. */
  readonly changes: readonly EnteredChange[];
  /** Of a run that follows the log of its source. */
  readonly stream: StreamLag | undefined;
  /** What can be done next, as commands. */
  readonly next: readonly string[];
}

/** The partitions of a step. */
export interface Strip extends Omit<StepPartitions, 'partitions'> {
  readonly partitions: readonly ShownPartition[];
}

/** What a partition is doing. `waits`: its page does, and says why. `atRest`: it has begun, and no page runs. */
export type PartitionState = 'done' | 'runs' | 'waits' | 'atRest' | 'queued';

export interface ShownPartition extends PartitionFigures {
  readonly state: PartitionState;
  /** Why it waits; null where it does not. */
  readonly waiting: string | null;
  /** Rows that it has reached. */
  readonly reached: number;
  readonly perSecond: number | null;
  /** It is slower than the others by far. */
  readonly slow: boolean;
}

/** @throws CommandError when there is no such run */
export async function readRunData(visit: Visit): Promise<RunData> {
  const { session, series, param } = visit;
  const workflowId = param('id');
  const execution = await readExecution(session.client, workflowId);
  const { progress, runId, closed } = execution;
  const [found, executions, verifications, changes, next, stream] = await Promise.all([
    readStrips(execution, series),
    instanceRuns(session, execution),
    // But for a stream, nothing verifies a run that goes on.
    closed || followsLog(progress.parameters) ? verificationsOf(session, workflowId) : [],
    changesOf(visit, execution),
    nextCommands(progress),
    closed ? undefined : streamOfRun(progress),
  ]);
  return {
    runId,
    closed,
    uiUrl: uiUrlOf(session.config, workflowId, runId) ?? null,
    progress,
    ...paceOf(execution, series),
    ...found,
    executions,
    verifications,
    changes,
    next,
    stream,
  };
}

/** Changes of a run that its page shows. */
const mostChanges = 10;

/** A ledger that cannot be asked is told where the partitions are missing. */
async function changesOf(
  { session, readOnly }: Visit,
  { progress: { workflowId }, runId, terminated }: Execution,
): Promise<readonly EnteredChange[]> {
  const read = () =>
    withLedger((ledger) => readAudit(ledger, { ids: [workflowId] }, { limit: mostChanges }), 3_000).catch(
      () => [],
    );
  const changes = await read();
  const isEntered = changes.some((change) => change.action === 'terminate' && change.runId === runId);
  if (!terminated || isEntered || readOnly) return changes;
  await noticeTermination(session, workflowId).catch(() => undefined);
  return read();
}

function paceOf(
  { progress, runId, closed }: Execution,
  series: Series,
): Pick<RunData, 'perSecond' | 'remainingSeconds' | 'rates'> {
  const done = progress.steps.reduce((sum, step) => sum + doneOf(step), 0);
  const step = progress.steps.findLast(({ status }) => status === 'running');
  const ratesNow = () => ratesOf(series.of(runId, progress.course));
  if (closed) return { perSecond: null, remainingSeconds: null, rates: ratesNow() };
  series.add(runId, { at: Date.now(), done });
  const rate = series.pace(`${runId} ${step?.step ?? ''}`, step ? doneOf(step) : done);
  return {
    perSecond: progress.status === 'running' ? rate.perSecond : null,
    remainingSeconds: step
      ? remainingSeconds({ done: doneOf(step), expected: step.expected, status: progress.status, rate })
      : null,
    rates: ratesNow(),
  };
}

async function readStrips(
  { progress, runId }: Execution,
  series: Series,
): Promise<Pick<RunData, 'strips' | 'ledgerAway'>> {
  if (progress.instance === null) return { strips: [], ledgerAway: null };
  try {
    const steps = (await partitionsOf(progress.instance)).filter(({ counts }) => counts.total > 1);
    const pages = progress.live?.pages ?? [];
    return { strips: steps.map((step) => stripOf(step, pages, runId, series)), ledgerAway: null };
  } catch (error) {
    return { strips: [], ledgerAway: reasonOf(error) };
  }
}

function stripOf(
  { partitions, ...step }: StepPartitions,
  pages: readonly LivePage[],
  runId: string,
  series: Series,
): Strip {
  const own = new Map(pages.filter((page) => page.step === step.step).map((page) => [page.partition, page]));
  const shown = partitions.map((figures): Omit<ShownPartition, 'slow'> => {
    const page = own.get(figures.partition);
    const committed = figures.read + figures.readSkipped;
    const reached = Math.max(committed, page?.done ?? 0);
    const state = stateOf(figures, page);
    const pace =
      state === 'runs' || state === 'waits' ? `${runId} ${step.step} ${figures.partition}` : undefined;
    return {
      ...figures,
      state,
      waiting: page?.waiting ?? null,
      reached,
      perSecond: pace === undefined ? null : series.pace(pace, reached).perSecond,
    };
  });
  const limit = slowBelow(shown);
  return {
    ...step,
    partitions: shown.map((one) => ({ ...one, slow: one.perSecond !== null && one.perSecond < limit })),
  };
}

function stateOf({ done, commits }: PartitionFigures, page: LivePage | undefined): PartitionState {
  if (done) return 'done';
  if (page) return page.waiting === null ? 'runs' : 'waits';
  return commits > 0 ? 'atRest' : 'queued';
}

/** Below a third of what is usual among those that run, a partition is slow. Two say nothing of what is usual. */
function slowBelow(partitions: readonly Omit<ShownPartition, 'slow'>[]): number {
  const rates = partitions.flatMap(({ perSecond }) => perSecond ?? []).toSorted((a, b) => a - b);
  const usual = rates[Math.floor(rates.length / 2)];
  return usual === undefined || rates.length < 3 ? Number.NEGATIVE_INFINITY : usual / 3;
}
