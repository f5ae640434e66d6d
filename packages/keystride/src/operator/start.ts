import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import type { FoundInstance } from '../contract/activities.ts';
import { type Authorship, authorshipMemo } from '../contract/audit.ts';
import { describeError, failureTypeOf, type FailureType } from '../contract/errors.ts';
import { failurePlaceOf } from '../contract/failure-place.ts';
import { codeSpan, inMarkdown } from '../contract/inert.ts';
import type { JobDefinition } from '../contract/job.ts';
import { messages } from '../contract/messages.ts';
import { keyOfShown, parseParameters } from '../contract/parameters.ts';
import { shownParameters } from '../contract/sensitive.ts';
import type { JobProgress } from '../contract/progress.ts';
import { shellWord } from '../contract/shell.ts';
import { isFinal } from '../contract/states.ts';
import { findInstance } from '../ledger/instance.ts';
import { loadSettings } from '../dev/settings.ts';
import { loadProject, nameOf, noProject, projectFile } from '../project/project.ts';
import { taskQueueOf } from '../settings/task-queues.ts';
import { commandAuthor } from './author.ts';
import { keystride } from './called-as.ts';
import { catalogue, findJob } from './catalogue.ts';
import { CommandError, exitCodes } from './command-error.ts';
import { uiUrlOf, type Session } from './connection.ts';
import { jobFailure } from './failures.ts';
import { plain } from './format.ts';
import { withLedger } from './ledger.ts';

/** A run that was asked for, and the instance that it is of. */
export interface StartRequest {
  readonly job: JobDefinition;
  /** The parameters as given: the workflow's single argument. */
  readonly input: Readonly<Record<string, unknown>>;
  /** As they may be shown: what nobody may read stands there as its hash. */
  readonly shown: Readonly<Record<string, unknown>>;
  readonly instance: string;
  readonly workflowId: string;
  /** The job whose task queue it goes to. @default its own */
  readonly queuedAs?: string;
  /** Who starts it, and why. @default the user of this machine, for no reason that is told */
  readonly author?: Authorship;
}

/** A run that has started. */
export interface StartedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly instance: string;
  readonly job: string;
  readonly taskQueue: string;
  readonly uiUrl?: string;
}

/**
 * The job of that name.
 *
 * @param todo what is to be done with one: `Start`, `Plan`.
 * @throws CommandError of type UnknownJob, naming those there are
 */
export async function jobNamed(name: string, todo: string): Promise<JobDefinition> {
  const job = await findJob(name);
  if (job) return job;
  if (projectFile() === undefined) throw noProject();
  const known = (await catalogue()).map((one) => one.name).join(', ');
  throw new CommandError(
    {
      what: `there is no job ${plain(name)}`,
      todo: `${todo} one of: ${known}.\nSee what they are: ${keystride} jobs`,
    },
    { exitCode: exitCodes.usage, type: 'UnknownJob' },
  );
}

/**
 * Checks the parameters and finds the instance that they name.
 * @throws JobParametersInvalid
 */
export function startRequest(
  job: JobDefinition,
  input: Readonly<Record<string, unknown>>,
  workflowId?: string,
): StartRequest {
  const parameters = shownParameters(job, parseParameters(job, input), loadSettings().encryption?.hashKey);
  const instance = keyOfShown(job, parameters);
  const shown = Object.fromEntries(Object.keys(input).map((name) => [name, parameters[name]]));
  return { job, input, shown, instance, workflowId: workflowId ?? instance };
}

/**
 * Starts a run, unless the instance runs or has completed.
 * @throws CommandError of type JobExecutionAlreadyRunning, JobInstanceAlreadyComplete or JobRestartRefused, naming the run
 */
export async function startRun({ client, config }: Session, request: StartRequest): Promise<StartedRun> {
  const { job, input, instance, workflowId, queuedAs = job.name, author = commandAuthor() } = request;
  const taskQueue = taskQueueOf(config, queuedAs);
  await refuseSecondStart(client, request);
  try {
    const handle = await client.workflow.start(job.name, {
      workflowId,
      taskQueue,
      args: [input],
      // Whether a closed instance may run again is the ledger's to say.
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      memo: { [authorshipMemo]: author },
      staticSummary: inMarkdown(instance),
      staticDetails: `${job.description}.\n\nParameters: ${codeSpan(JSON.stringify(request.shown))}`,
    });
    const runId = handle.firstExecutionRunId;
    const uiUrl = uiUrlOf(config, workflowId, runId);
    const run = { workflowId, runId, instance, job: job.name, taskQueue };
    return { ...run, ...(uiUrl !== undefined && { uiUrl }) };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId } = await client.workflow.getHandle(workflowId).describe();
    throw alreadyRunning(request, runId, error);
  }
}

/** Asked before the start, so that a refusal leaves no failed run in the lists. */
async function refuseSecondStart(client: Session['client'], request: StartRequest): Promise<void> {
  const handle = client.workflow.getHandle(request.workflowId);
  const latest = await handle.describe().catch((error: unknown) => {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return undefined;
    throw error;
  });
  if (latest?.status.name === 'RUNNING') {
    // A run of another project may have the id, in the same namespace.
    await statusInLedger(request.instance);
    throw alreadyRunning(request, latest.runId);
  }
  if (latest?.status.name !== 'COMPLETED') return;
  const report = (await handle.result()) as Partial<JobProgress> | null;
  const said = report?.status === 'completed' || report?.status === 'completedWithSkips';
  const known = said ? await statusInLedger(request.instance) : undefined;
  const ended = `${report?.status}, ${report?.finishedAt ?? latest.closeTime?.toISOString()}`;
  if (known === 'completed')
    throw refusal(
      'JobInstanceAlreadyComplete',
      `${request.instance} has completed (${ended}).`,
      request,
      latest.runId,
    );
  if (known !== undefined && request.job.preventRestart === true)
    throw refusal(
      'JobRestartRefused',
      `${request.instance} has completed (${ended}), and the ledger has lost that: it was restored, or failed over. Its job must not be restarted: look at what it has done.`,
      request,
      latest.runId,
    );
}

/**
 * What the ledger says of an instance: after a restore or a failover it may have lost that it has completed, and the start
 * is to do it again. Undefined from where it cannot be asked: the run that is started asks it.
 */
async function statusInLedger(instance: string): Promise<FoundInstance['status'] | undefined> {
  const file = projectFile();
  const project = file === undefined ? undefined : nameOf(await loadProject(file));
  try {
    return await withLedger(async (ledger) => {
      const ours = project === undefined ? ledger : ledger.as(project);
      return (await findInstance(ours, instance)).status;
    });
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (cause instanceof Error && failureTypeOf(cause) === 'OtherProject') throw jobFailure(cause);
    return undefined;
  }
}

function alreadyRunning(request: StartRequest, runId: string, cause?: unknown): CommandError {
  const message = `${request.instance} is running already, as workflow ${request.workflowId}, run ${runId}.`;
  return refusal('JobExecutionAlreadyRunning', message, request, runId, cause);
}

function refusal(
  type: FailureType,
  what: string,
  { workflowId, job }: StartRequest,
  runId: string,
  cause?: unknown,
): CommandError {
  const id = shellWord(workflowId);
  const todo =
    type === 'JobExecutionAlreadyRunning'
      ? `Watch it: ${keystride} status ${id} --watch\nEnd it: ${keystride} stop ${id}`
      : `To run ${job.name} again, give another identifying parameter. See which: ${keystride} jobs`;
  return new CommandError({ what, todo }, { cause, type, details: { workflowId, runId } });
}

/** How long a start waits for a worker, in milliseconds. */
const pickUpWithin = 5_000;

/** How long it waits until the run has opened or is refused: a matter of milliseconds, unless the ledger is away. */
const openWithin = 10_000;

/**
 * Waits until the run has opened, a moment at most.
 * @returns false when no worker has picked it up
 * @throws CommandError when the engine refuses the run
 */
export async function untilOpened({ client }: Session, run: StartedRun): Promise<boolean> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  const startedAt = performance.now();
  let pickedUp = false;
  while (performance.now() - startedAt < (pickedUp ? openWithin : pickUpWithin)) {
    const { status, historyLength } = await handle.describe();
    pickedUp = historyLength > 2;
    if (status.name !== 'RUNNING') {
      await handle.result().catch((error: unknown) => throwRefusal(error, run));
      return true;
    }
    if (pickedUp && (await hasOpened(client, handle))) return true;
    await delay(100);
  }
  return pickedUp;
}

async function hasOpened(
  client: Session['client'],
  handle: ReturnType<Session['client']['workflow']['getHandle']>,
): Promise<boolean> {
  try {
    const ask = () => handle.query<JobProgress>(messages.progress);
    const { status } = await client.withDeadline(Date.now() + 1_000, ask);
    // A run that has ended since it was described may have been refused: its result will tell.
    return status !== 'starting' && !isFinal(status);
  } catch {
    return false;
  }
}

const refusals: readonly (FailureType | undefined)[] = [
  'JobExecutionAlreadyRunning',
  'JobInstanceAlreadyComplete',
  'JobParametersInvalid',
  'UnknownJob',
  'NothingToRedrive',
  'RedriveRefused',
  'OtherProject',
];

/** A run that failed because it may not run is a refused start; any other failure is the run's own story. */
function throwRefusal(error: unknown, { workflowId, runId }: StartedRun): void {
  const cause = error instanceof WorkflowFailedError ? error.cause : error;
  if (!(cause instanceof Error) || !refusals.includes(failureTypeOf(cause))) return;
  // A step may find parameters wrong that only the databases can judge: then the run has begun, and has failed.
  if (failurePlaceOf(cause)) return;
  throw jobFailure(cause, { message: describeError(cause), details: { workflowId, runId } });
}
