import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { expect } from 'vitest';
import type { ControlAnswer, ControlRequest } from '../../packages/keystride/src/contract/messages.ts';
import type { JobProgress, StepProgress } from '../../packages/keystride/src/contract/progress.ts';
import type {
  VerificationInput,
  VerificationReport,
} from '../../packages/keystride/src/contract/verification.ts';
import { waitFor, type World } from './stack.ts';

/** The report of a job that runs to its end. */
export function reportOf(handle: WorkflowHandle): Promise<JobProgress> {
  return handle.result() as Promise<JobProgress>;
}

/** Runs a job to its end. */
export async function run(world: World, job: string, parameters: object = {}): Promise<JobProgress> {
  return reportOf(await world.start(job, parameters));
}

/** The failure with which a job ends: its type, and the message that people see. */
export async function failureOf(handle: WorkflowHandle): Promise<{ type: string; message: string }> {
  const error: unknown = await handle.result().then(
    (result: unknown) => new Error(`it did not fail: ${JSON.stringify(result)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  expect(cause).toBeInstanceOf(ApplicationFailure);
  const { type, message } = cause as ApplicationFailure;
  return { type: type ?? '', message };
}

/** Sends a control and returns the state that it led to. */
export async function control(
  handle: WorkflowHandle,
  name: 'pause' | 'resume' | 'stop',
  reason?: string,
): Promise<ControlAnswer> {
  return handle.executeUpdate<ControlAnswer, [ControlRequest]>(name, {
    args: [reason === undefined ? {} : { reason }],
  });
}

/** A step of a job's progress. */
export function stepOf(progress: JobProgress, step: string): StepProgress {
  const found = progress.steps.find((candidate) => candidate.step === step);
  if (!found) throw new Error(`${progress.workflowId} has no step ${step} yet`);
  return found;
}

/** Waits until a job is in a state. */
export async function until(
  world: World,
  workflowId: string,
  status: JobProgress['status'],
  timeoutMs = 60_000,
): Promise<JobProgress> {
  return waitFor(
    async () => {
      const progress = await world.progress(workflowId);
      return progress.status === status && progress;
    },
    { what: `${workflowId} to be ${status}`, timeoutMs },
  );
}

/** Compares what documentMigration has left, as often as asked. */
export async function verify(world: World, parameters: object = {}): Promise<VerificationReport> {
  return (await (await startVerification(world, { parameters })).result()) as VerificationReport;
}

/** Starts a verification; of documentMigration unless told otherwise. */
export function startVerification(
  world: World,
  input: Partial<VerificationInput> = {},
): Promise<WorkflowHandle> {
  return world.client.workflow.start('verification', {
    taskQueue: world.taskQueue,
    workflowId: `verification-${crypto.randomUUID()}`,
    args: [{ job: 'documentMigration', parameters: {}, ...input }],
  });
}
