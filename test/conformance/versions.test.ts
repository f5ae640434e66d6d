import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { writeWorkflowBundle } from '../../packages/keystride/src/host/workflow-bundle.ts';
import { refusalsIn } from '../support/history.ts';
import { productWorker, type TestWorker, testJobsWorker, waitFor } from '../support/stack.ts';
import { startTemporalServer, type TemporalServer } from '../support/temporal-server.ts';
import { bundleFor } from '../support/workflow-bundle.ts';
import { endingOf, Fixture, upTo } from './fixture.ts';

// A server that suggests a new history after a few dozen events, so that runs continue as new while builds change.
let temporal: TemporalServer;
let connection: Connection;
let client: Client;
let fixture: Fixture;
/** What workers of the present build run, and those of the next. */
let present: string;
let next: string;

beforeAll(async () => {
  temporal = await startTemporalServer({ 'limit.historyCount.suggestContinueAsNew': 40 });
  connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection });
  fixture = await Fixture.open(false);
  present = await bundleFor(testJobsWorker);
  next = path.join(inject('keystride').bundles, `next-build-${process.pid}.js`);
  await writeWorkflowBundle(next, path.join(import.meta.dirname, '../support/jobs/next-build-workflows.ts'));
});

afterAll(async () => {
  await fixture?.close();
  await connection?.close();
  await temporal?.stop();
});

const flow = { job: 'fixtureFlow' };
const deployment = 'batch';

/** Starts a worker on the task queue of one test: with these workflows, and the work of this program. */
function startWorker(
  taskQueue: string,
  workflows: string,
  {
    program = testJobsWorker,
    ...added
  }: { program?: string; [variable: `KEYSTRIDE_${string}`]: string } = {},
): Promise<TestWorker> {
  const environment = {
    ...{ TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default', KEYSTRIDE_TASK_QUEUE: taskQueue },
    ...{ KEYSTRIDE_WORKFLOW_BUNDLE: workflows, ...added },
  };
  return fixture.world.startWorker({ program, environment });
}

function startBuild(buildId: string, workflows: string): Promise<TestWorker> {
  const build = { KEYSTRIDE_DEPLOYMENT: deployment, KEYSTRIDE_BUILD_ID: buildId };
  return startWorker('versioned', workflows, build);
}

/** What `temporal worker deployment set-current-version` does. Refused until the build's workers have polled. */
async function setCurrent(buildId: string): Promise<void> {
  await waitFor(
    async () => {
      const request = { namespace: 'default', deploymentName: deployment, buildId };
      return Boolean(await connection.workflowService.setWorkerDeploymentCurrentVersion(request));
    },
    { what: `build ${buildId} to be current`, everyMs: 500 },
  );
}

function start(taskQueue: string, job: string, run: string, told: object = {}) {
  return client.workflow.start(job, { taskQueue, workflowId: run, args: [{ run, ...told }] });
}

/** The build that a run is pinned to. */
async function buildOf(workflowId: string): Promise<string | null | undefined> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
}

function stepsOf(report: JobProgress | undefined): string[] {
  return report?.steps.map(({ step, status }) => `${step} ${status}`) ?? [];
}

/** How often the newest run of this id has had a workflow task fail, and why. */
async function refusals(workflowId: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return refusalsIn(events ?? []);
}

/** Waits until an activity of the newest run of this id is retried for this reason. */
async function retriedFor(workflowId: string, reason: RegExp): Promise<void> {
  await waitFor(
    async () => {
      const { raw } = await client.workflow.getHandle(workflowId).describe();
      return raw.pendingActivities?.some(({ lastFailure }) => reason.test(lastFailure?.message ?? ''));
    },
    { what: `a retry for ${reason.source}` },
  );
}

test.concurrent(
  '55: with versioning, a run, its partitions and what continues it stay with the build that began',
  async () => {
    const first = await startBuild('1.0.0', present);
    await setCurrent('1.0.0');
    const told = { items: 60, partitions: 15, window: 2, heldInProcessor: [3, 7] };
    await fixture.hold('pinned', 3);
    await fixture.hold('pinned', 7);
    const pinned = await start('versioned', 'fixtureFlow', 'pinned', told);
    for (const item of [3, 7]) await fixture.reached('pinned', 'process', item);
    expect([await buildOf('pinned'), await buildOf('pinned/items/p0')]).toEqual(['1.0.0', '1.0.0']);

    const second = await startBuild('1.1.0', next);
    await setCurrent('1.1.0');
    const taken = await endingOf(await start('versioned', 'fixtureFlow', 'taken'));
    expect(stepsOf(taken.report)).toEqual(['items completed', 'more completed']);
    expect(await buildOf('taken')).toBe('1.1.0');

    // One slot goes on, until the run continues as new: under the build that is no longer current.
    await fixture.pool.query('DELETE FROM fixture_hold WHERE item = 7');
    const newest = client.workflow.getHandle('pinned');
    await waitFor(async () => (await newest.describe()).runId !== pinned.firstExecutionRunId, {
      what: 'the run to continue as new',
    });
    expect(await buildOf('pinned')).toBe('1.0.0');

    await first.stop();
    await fixture.release('pinned');
    const { read } = await fixture.effects('pinned', flow);
    // The other build works, and lets this run alone.
    await endingOf(await start('versioned', 'fixtureFlow', 'meanwhile'));
    await delay(2_000);
    expect(await fixture.effects('pinned', flow)).toMatchObject({ read });
    expect((await newest.describe()).status.name).toBe('RUNNING');

    await startBuild('1.0.0', present);
    const ending = await endingOf(newest);
    expect(stepsOf(ending.report)).toEqual(['prepare completed', 'items completed', 'finish completed']);
    expect(await buildOf('pinned')).toBe('1.0.0');
    expect(await refusals('pinned')).toEqual([]);
    expect(await fixture.effects('pinned', flow)).toMatchObject({
      read: 60,
      writtenCount: 60,
      written: upTo(60),
    });
    await second.stop();
  },
);

test.concurrent(
  '55: without versioning, a worker whose flow differs is refused, touches nothing, and the run goes on',
  async () => {
    const first = await startWorker('other-flow', present);
    await fixture.hold('refused', 3);
    const handle = await start('other-flow', 'fixtureFlow', 'refused', { items: 20, heldInProcessor: [3] });
    await fixture.reached('refused', 'process', 3);
    await first.stop();
    const other = await startWorker('other-flow', next);
    await fixture.release('refused');
    await waitFor(async () => (await refusals('refused')).length > 0, { what: 'the flow to be refused' });
    await delay(2_000);
    // Once in the history, however often it is tried: nothing grows while it waits.
    expect(await refusals('refused')).toEqual([expect.stringMatching(/nondeterminism/iu)]);
    expect((await fixture.effects('refused', { ...flow, step: 'more' })).read).toBe(0);

    await other.stop();
    await startWorker('other-flow', present);
    expect(stepsOf((await endingOf(handle)).report)).toEqual([
      'prepare completed',
      'items completed',
      'finish completed',
    ]);
    expect(await fixture.effects('refused', flow)).toMatchObject({ read: 20, written: upTo(20) });
  },
);

test.concurrent(
  '55: without versioning, a worker without the job refuses it, and the run goes on where it stood',
  async () => {
    // One has neither the workflow nor the work; the other has the workflow alone.
    const strange = await startWorker('without', await bundleFor(productWorker), { program: productWorker });
    const handle = await start('without', 'fixture', 'unknown', { items: 20, heldInProcessor: [3] });
    await waitFor(async () => (await refusals('unknown')).some((reason) => /fixture/u.test(reason)), {
      what: 'the workflow to be refused',
    });
    await strange.stop();
    const older = await startWorker('without', present, { program: productWorker });
    await retriedFor('unknown', /no job fixture.*older build/u);
    await older.stop();

    await fixture.hold('unknown', 3);
    const right = await startWorker('without', present);
    await fixture.reached('unknown', 'process', 3);
    await right.kill();
    const again = await startWorker('without', present, { program: productWorker });
    await retriedFor('unknown', /no job fixture.*older build/u);
    await again.stop();
    await fixture.release('unknown');
    await startWorker('without', present);
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    expect(await fixture.effects('unknown')).toMatchObject({ read: 20, writtenCount: 20, written: upTo(20) });
  },
);
