import type { WorkflowExecutionInfo } from '@temporalio/client';
import { addCounters, noCounters, type Counters } from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';
import type { Session } from './connection.ts';
import { readExecution, timesOf } from './execution.ts';

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

/** The executions of a workflow id, the last one first, with what each has added. */
export async function instanceRuns(session: Session, workflowId: string): Promise<InstanceRun[]> {
  const { client } = session;
  const id = workflowId.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`);
  const query = `WorkflowId = '${id}' AND ExecutionStatus != 'ContinuedAsNew'`;
  const infos = [];
  for await (const info of client.workflow.list({ query, pageSize: mostRuns + 1 })) {
    infos.push(info);
    if (infos.length > mostRuns) break;
  }
  const newestFirst = infos.toSorted((a, b) => b.startTime.getTime() - a.startTime.getTime());
  const runs: InstanceRun[] = [];
  for (const info of newestFirst) {
    const known = ended.get(info.runId);
    const run = known ?? (await readRun(session, workflowId, info, runs.length === 0));
    if (!known && run.finishedAt !== null) remember(run);
    runs.push(run);
  }
  return runs.map((run, index) => ({ ...run, added: addedBy(run, runs[index + 1]) })).slice(0, mostRuns);
}

function remember(run: InstanceRun): void {
  const [oldest] = ended.keys();
  if (ended.size >= mostRemembered && oldest !== undefined) ended.delete(oldest);
  ended.set(run.runId, run);
}

/** @param newest what the ledger says now is what had committed when it ended */
async function readRun(
  { client }: Session,
  workflowId: string,
  info: WorkflowExecutionInfo,
  newest: boolean,
): Promise<InstanceRun> {
  const { runId } = info;
  const { progress } = await readExecution(client, workflowId, runId);
  const { status, reason, steps, figures } = progress;
  const worked = steps.filter(({ kind }) => kind === 'chunk' || kind === 'job');
  const total = figures === undefined || newest ? worked.reduce<Counters>(addCounters, noCounters) : null;
  return { runId, status, reason, ...timesOf(info), total, added: null };
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
