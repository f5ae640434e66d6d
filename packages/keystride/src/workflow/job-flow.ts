import type { VerificationState } from '../contract/step-activities.ts';
import type { JobDefinition, ParametersOf, StepName } from '../contract/job.ts';
import type { JsonOf } from '../contract/json.ts';
import type { ChunkPolicy, StepPolicy, TaskletPolicy } from '../contract/policy.ts';
import type { NestedRun, StepProgress } from '../contract/progress.ts';
import type { JobWorkflow } from './nested-job.ts';

/** What a flow is told of a step that has completed: its figures and its result. */
export interface StepReport<Result> extends StepProgress {
  readonly result: Result;
}

/** What a step of this policy results in, as its contract says it. A tasklet that returns nothing gives null. */
export type ResultOf<Policy extends StepPolicy> = Policy extends ChunkPolicy
  ? undefined
  : Policy extends TaskletPolicy<infer Result>
    ? undefined extends Result
      ? JsonOf<Exclude<Result, undefined | void>> | null
      : JsonOf<Result>
    : VerificationState;

/**
 * What a job's flow is written with.
 *
 * @typeParam Job the contract: its parameters, and the steps that may be asked for.
 */
export interface JobFlow<Job extends JobDefinition = JobDefinition> {
  /** The validated parameters, with defaults, as JSON. */
  readonly parameters: Readonly<ParametersOf<Job>>;
  /**
   * Runs a step, or finds that an earlier execution has completed it.
   *
   * @returns its figures, and a tasklet's result.
   * @throws StepFailed
   */
  step<Step extends StepName<Job>>(name: Step): Promise<StepReport<ResultOf<Job['steps'][Step]>>>;
  /**
   * Runs another job of the same worker as a step of this one, or finds that its instance has completed.
   *
   * @param name the step in the report; no step of the contract has it.
   * @param workflow the other job's flow, as `src/workflows` exports it.
   * @param parameters what that job takes; they name the instance.
   * @returns its figures, summed up, and where its run is found.
   * @throws StepFailed or what failed it; JobExecutionAlreadyRunning when the instance runs elsewhere.
   */
  run<Parameters>(
    name: string,
    workflow: JobWorkflow<Parameters>,
    parameters: NoInfer<Parameters>,
  ): Promise<StepReport<NestedRun>>;
  /**
   * Waits so many seconds, or until an operator wants something: a flow that polls does so between two rounds.
   *
   * @param step a tasklet of the contract. The wait goes on until its work says, asked every so many seconds, that it would
   *   find something to do (`due`), and for three hours at most. It leaves no events with Temporal meanwhile.
   */
  wait(seconds: number, step?: StepName<Job>): Promise<void>;
  /**
   * For a flow that goes on and on: takes a failure of `step` or `run` that says no more than that a store, or every
   * worker, was away, so that the flow may try again later. Nothing is lost by that: what failed is done by then or not.
   *
   * @throws any other failure.
   */
  outlive(error: unknown): void;
}
