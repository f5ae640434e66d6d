import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError, type Client, type WorkflowExecutionStatusName } from '@temporalio/client';
import type { Db } from 'mongodb';
import { describeError } from '../contract/errors.ts';
import type { VerificationReport } from '../contract/verification.ts';
import type { Stack } from '../dev/stack.ts';
import type { WorkerProcess } from '../dev/workers.ts';
import {
  faultPoints,
  passesFile,
  type FaultPoint,
  type FaultSchedule,
  type WorkerFault,
} from '../page/fault-points.ts';
import { safeMessage } from '../stores/safe-message.ts';
import type { Books } from '../ledger/books.ts';
import { readBooks } from './books.ts';
import { connectionFaults, DatabaseProxy, type ConnectionFault } from './database-proxy.ts';
import type { RunCollections } from './collections.ts';
import type { Copies } from './copies.ts';
import { isPoint, isRestart, type FaultPlace, type Passes, type PlannedFault, type Restart } from './plan.ts';
import { strokesOf, writeAndStop } from './stream-run.ts';
import { TendedWorkers, victimOf, type Freeze } from './workers.ts';

/** What runs of a job work with. */
export interface Bench {
  readonly stack: Stack;
  readonly client: Client;
  readonly copies: Copies;
  readonly job: string;
  /** Whether the job can verify what it has left. */
  readonly verifiable: boolean;
  readonly input: Readonly<Record<string, unknown>>;
  readonly instance: string;
  /** It follows the log of its source, which is written to meanwhile. */
  readonly followed: boolean;
  /** What the project adds to the environment of its workers. */
  readonly environment: Readonly<Record<string, string>>;
  /** The servers that may be restarted. */
  readonly restartable: readonly Restart[];
  /** The longest that a run may take, in seconds. */
  readonly timeLimitSeconds: number;
}

/** A run that is to be done. */
export interface PlannedRun {
  /** Tells it from all others of a bench. */
  readonly name: string;
  readonly seed: number;
  readonly faults: readonly PlannedFault[];
}

/** What a run has left, to be read before it is taken away. */
export interface RunLeft {
  readonly databaseUrl: string;
  readonly sourceUrl: string;
  /** Undefined for a project without MongoDB. */
  readonly mongo: Db | undefined;
  readonly books: Books;
  /** What its verification said, and then its repair of what attempts that died had left: one line each, none when right. */
  readonly unverified: readonly string[];
}

/** How a run went. */
export interface RunStory<Judgement> {
  /** Faults that happened, by place. */
  readonly happened: ReadonlyMap<FaultPlace, number>;
  readonly passes: Passes;
  readonly seconds: number;
  /** Why it did not complete; undefined when it did. */
  readonly problem: string | undefined;
  readonly judgement: Judgement;
}

/** How long a verification may take. */
const verificationTimeout = '60s';

/** Worker processes of a run: one goes on while the other is dead or frozen. */
const workersPerRun = 2;

/**
 * Runs the job once on a copy of the data, lets the faults happen, and has somebody judge what it left.
 *
 */
export async function runOnce<Judgement>(
  bench: Bench,
  run: PlannedRun,
  judge: (left: RunLeft) => Promise<Judgement>,
): Promise<RunStory<Judgement>> {
  const { name } = run;
  const { copies, followed, instance } = bench;
  const begun = performance.now();
  const databaseUrl = await copies.make(name);
  const sourceUrl = followed ? await copies.makeSource(name) : copies.sourceUrl;
  const mongo = await collectionsOf(bench, name);
  try {
    const { unverified, ...ran } = await perform(bench, run, {
      databaseUrl,
      sourceUrl,
      mongodbUrl: mongo?.url,
    });
    const books = await readBooks(databaseUrl, instance, followed ? 'follow' : undefined);
    const judgement = await judge({ databaseUrl, sourceUrl, mongo: mongo?.database, books, unverified });
    return { ...ran, seconds: (performance.now() - begun) / 1000, judgement };
  } finally {
    await mongo?.drop();
    await copies.drop(databaseUrl);
    if (followed) await copies.drop(sourceUrl);
  }
}

/** The databases of a run. */
interface RunData {
  readonly databaseUrl: string;
  readonly sourceUrl: string;
  readonly mongodbUrl: string | undefined;
}

/** Not every project has MongoDB, or its driver. */
async function collectionsOf({ stack }: Bench, run: string): Promise<RunCollections | undefined> {
  const { mongodbUrl } = stack.info as Partial<Stack['info']>;
  return mongodbUrl === undefined
    ? undefined
    : (await import('./collections.ts')).collectionsOfRun(mongodbUrl, run);
}

async function perform(
  bench: Bench,
  { name, seed, faults }: PlannedRun,
  { databaseUrl, sourceUrl, mongodbUrl }: RunData,
): Promise<Omit<RunStory<unknown>, 'seconds' | 'judgement'> & Pick<RunLeft, 'unverified'>> {
  const happened = new Map<FaultPlace, number>();
  const note = (place: FaultPlace) => void happened.set(place, (happened.get(place) ?? 0) + 1);
  const schedule = scheduleOf(path.join(bench.stack.info.home, 'faults', name), faults);
  const proxy = await DatabaseProxy.start(
    databaseUrl,
    faults.filter(isConnectionFault).map(asConnectionFault),
  );
  proxy.onFault = note;
  const workflowId = `prove-${name}`;
  const environment = {
    DATABASE_URL: proxy.urlOf(databaseUrl),
    SOURCE_DATABASE_URL: proxy.leadsTo(sourceUrl) ? proxy.urlOf(sourceUrl) : sourceUrl,
    ...(mongodbUrl !== undefined && { MONGODB_URL: mongodbUrl }),
    KEYSTRIDE_TASK_QUEUE: workflowId,
    KEYSTRIDE_FAULTS: JSON.stringify(schedule),
    ...bench.environment,
    LOG_LEVEL: 'warn',
  };
  const started = await Promise.all(
    Array.from({ length: workersPerRun }, () => startWorker(bench, environment, faults.length)),
  );
  const workers = new TendedWorkers(started, schedule.directory, freezesOf(schedule));
  const restarts = faults.filter(({ place }) => isRestart(place));
  const ended = new AbortController();
  try {
    const handle = await bench.client.workflow.start(bench.job, {
      workflowId,
      taskQueue: workflowId,
      args: [bench.input],
    });
    const restarting = restartWhenDue(bench, proxy, restarts, note, ended.signal);
    // Its failure is met when the run has ended.
    restarting.catch(() => undefined);
    const writing = bench.followed
      ? writeAndStop(
          { ...bench, handle, databaseUrl, sourceUrl, seed, ...strokesOf(schedule, faults, happened) },
          ended.signal,
        )
      : Promise.resolve();
    writing.catch(() => undefined);
    const problem = await untilClosed(bench, workflowId, () => workers.tend());
    ended.abort();
    await Promise.all([restarting, writing]);
    await workers.haunt();
    // Of the run alone: what its verification does is no place for a fault of the run.
    const passes = passesOf(bench, schedule.directory, proxy);
    const unverified =
      problem === undefined && bench.verifiable ? await verifyAndRepair(bench, name, workers) : [];
    await workers.kill();
    for (const { id, point } of schedule.faults)
      if (victimOf(schedule.directory, id) !== undefined) note(point);
    return { happened, problem, unverified, passes };
  } finally {
    ended.abort();
    await workers.kill();
    await proxy.stop();
  }
}

/**
 * A worker whose start fails is started again, as whoever runs it would: a fault may have met it, or a machine that is
 * busy with the other runs.
 */
async function startWorker(
  { stack }: Pick<Bench, 'stack'>,
  environment: NodeJS.ProcessEnv,
  faults: number,
): Promise<WorkerProcess> {
  try {
    return await stack.addWorker(environment);
  } catch (error) {
    if (faults === 0) throw error;
    return startWorker({ stack }, environment, faults - 1);
  }
}

/**
 * Verifies what a run has left, which may only be leftovers of attempts that died, and has these removed.
 *
 * @returns what was not as it should be.
 */
async function verifyAndRepair(
  { client, job, input }: Bench,
  name: string,
  workers: TendedWorkers,
): Promise<string[]> {
  const tending = setInterval(() => workers.tend(), 100);
  const verify = (repair: boolean): Promise<VerificationReport> =>
    client.workflow.execute('verification', {
      workflowId: `prove-${name}-${repair ? 'repair' : 'verify'}`,
      taskQueue: `prove-${name}`,
      workflowExecutionTimeout: verificationTimeout,
      args: [{ job, parameters: input, repair }],
    });
  try {
    const { differences, leftovers = 0, examples } = await verify(false);
    const wrong = differences > leftovers ? [`${differences} differences: ${examples.join('; ')}`] : [];
    if (leftovers === 0) return wrong;
    const repaired = await verify(true);
    return repaired.verified ? wrong : [...wrong, `not repaired: ${repaired.examples.join('; ')}`];
  } catch (error) {
    const told = error instanceof WorkflowFailedError ? describeError(error) : safeMessage(error);
    return [`the verification failed: ${told}`];
  } finally {
    clearInterval(tending);
  }
}

function scheduleOf(directory: string, faults: readonly PlannedFault[]): FaultSchedule {
  mkdirSync(directory, { recursive: true });
  const suffered = faults.flatMap(({ place, at, signal }, id): WorkerFault[] =>
    isPoint(place) && signal !== undefined ? [{ id, point: place, hit: at, signal }] : [],
  );
  return { directory, faults: suffered };
}

function freezesOf({ faults }: FaultSchedule): Freeze[] {
  return faults
    .filter(({ signal }) => signal === 'SIGSTOP')
    .map(({ id, hit }) => ({ id, wakeAfterCommits: 1 + (hit % 3) }));
}

function isConnectionFault({ place }: PlannedFault): boolean {
  return connectionFaults.some((kind) => kind === place);
}

function asConnectionFault({ place, at }: PlannedFault): ConnectionFault {
  return { kind: place as ConnectionFault['kind'], at };
}

/** Restarts servers when so many COMMITs have been sent, one after another. */
async function restartWhenDue(
  { stack }: Bench,
  proxy: DatabaseProxy,
  faults: readonly PlannedFault[],
  note: (place: FaultPlace) => void,
  ended: AbortSignal,
): Promise<void> {
  for (const { place, at } of faults.toSorted((a, b) => a.at - b.at)) {
    while (proxy.commits < at) {
      if (ended.aborted) return;
      await delay(2);
    }
    note(place);
    if (place === 'postgresRestarted') await stack.parts.postgres.restart();
    else await stack.parts.temporal.restart();
  }
}

/** Waits for the end of the run. @returns why it did not complete, if it did not */
async function untilClosed(
  { client, timeLimitSeconds }: Bench,
  workflowId: string,
  tend: () => void,
): Promise<string | undefined> {
  const handle = client.workflow.getHandle(workflowId);
  const deadline = performance.now() + timeLimitSeconds * 1000;
  while (performance.now() < deadline) {
    tend();
    const status = await statusOf(handle);
    if (status === 'COMPLETED') return undefined;
    if (status !== undefined && status !== 'RUNNING')
      return `the job ended as ${status.toLowerCase()}: ${await reasonOf(handle)}`;
    await delay(100);
  }
  await handle.terminate('out of time').catch(() => undefined);
  return `the job did not end within ${timeLimitSeconds} s`;
}

type Handle = ReturnType<Client['workflow']['getHandle']>;

/** Undefined while Temporal does not answer: it may be the one that is being restarted. */
async function statusOf(handle: Handle): Promise<WorkflowExecutionStatusName | undefined> {
  return handle.describe().then(
    ({ status }) => status.name,
    () => undefined,
  );
}

async function reasonOf(handle: Handle): Promise<string> {
  return handle.result().then(
    () => 'completed after all',
    (error: unknown) => describeError(error),
  );
}

function passesOf(bench: Bench, directory: string, proxy: DatabaseProxy): Passes {
  const count = (point: FaultPoint) => {
    const file = passesFile(directory, point);
    return existsSync(file) ? statSync(file).size : 0;
  };
  return {
    points: Object.fromEntries(faultPoints.map((point) => [point, count(point)])) as Passes['points'],
    commits: proxy.commits,
    messages: proxy.messages,
    restartable: bench.restartable,
  };
}
