import type { WorkflowExecutionInfo } from '@temporalio/client';
import { addCounters, noCounters, type Counters } from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';
import { quoted } from '../host/query-text.ts';
import type { Session } from './connection.ts';
import { readExecution, type Execution } from './execution.ts';

/** An execution of an instance, with what had committed when it ended. */
export interface InstanceRun {
  readonly runId: string;
  readonly status: JobStatus;
  readonly reason: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** Over all steps that write, and all executions until then; null where nobody can tell any more. */
  readonly total: Counters | null;
  /** What this one has added; null where either of the two is not known. */
  readonly added: Counters | null;
}

/** Executions that are looked at: the last ones. */
const mostRuns = 10;

/** What has ended does not change: it is asked for once, and forgotten when there are too many. */
const ended = new Map<string, InstanceRun>();
const mostRemembered = 500;

/**
 * The executions of a workflow id, the last one first, with what each has added.
 * @param latest the last one, as it stands
 */
export async function instanceRuns({ client }: Session, latest: Execution): Promise<InstanceRun[]> {
  const { workflowId } = latest.progress;
  const infos = await earlierRuns(client, latest);
  // What the ledger says now is what had committed when the last one ended.
  const runs = [runOf(latest, true)];
  for (const { runId } of infos.toSorted((a, b) => b.startTime.getTime() - a.startTime.getTime()))
    runs.push(ended.get(runId) ?? runOf(await readExecution(client, workflowId, runId), false));
  for (const run of runs) if (run.finishedAt !== null && run.total !== null) keep(ended, run.runId, run);
  return runs.map((run, index) => ({ ...run, added: addedBy(run, runs[index + 1]) })).slice(0, mostRuns);
}

/** How long it is believed which runs there were before one, in milliseconds: whoever follows it looks every few seconds. */
const believedFor = 20_000;

const earlier = new Map<string, { readonly at: number; readonly infos: readonly WorkflowExecutionInfo[] }>();

/** The executions of the id before the last one. */
async function earlierRuns(
  client: Session['client'],
  { progress: { workflowId }, runId }: Execution,
): Promise<readonly WorkflowExecutionInfo[]> {
  const known = earlier.get(runId);
  if (known && performance.now() - known.at < believedFor) return known.infos;
  const query = `WorkflowId = ${quoted(workflowId)} AND ExecutionStatus != 'ContinuedAsNew'`;
  const infos: WorkflowExecutionInfo[] = [];
  for await (const info of client.workflow.list({ query, pageSize: mostRuns + 1 })) {
    if (info.runId !== runId) infos.push(info);
    if (infos.length >= mostRuns) break;
  }
  keep(earlier, runId, { at: performance.now(), infos });
  return infos;
}

/** Remembers what was found last; the oldest makes room. */
function keep<Value>(found: Map<string, Value>, runId: string, value: Value): void {
  found.delete(runId);
  found.set(runId, value);
  const [oldest] = found.keys();
  if (found.size > mostRemembered && oldest !== undefined) found.delete(oldest);
}

function runOf({ progress, runId }: Execution, newest: boolean): InstanceRun {
  const { status, reason, startedAt, finishedAt, steps, figures } = progress;
  const worked = steps.filter(({ kind }) => kind === 'chunk' || kind === 'job');
  const own = figures === undefined || (newest && figures.from === 'ledger');
  const total = own ? worked.reduce<Counters>(addCounters, noCounters) : null;
  return { runId, status, reason, startedAt, finishedAt, total, added: null };
}

function addedBy({ total }: InstanceRun, before: InstanceRun | undefined): Counters | null {
  if (total === null || before === undefined) return total;
  if (before.total === null) return null;
  const { read, readSkipped, filtered, written, skipped } = before.total;
  return addCounters(total, {
    read: -read,
    readSkipped: -readSkipped,
    filtered: -filtered,
    written: -written,
    skipped: -skipped,
  });
}
