import type { z } from 'zod';
import type { JsonOf } from './json.ts';
import type { BranchPolicy, StepPolicy } from './policy.ts';

/** The steps of a job, by name, with the policies they start from. */
export type StepPolicies = Readonly<Record<string, StepPolicy>>;

/** What the rest of the system knows of a job without running it. */
export interface JobDefinition<
  Parameters extends z.ZodObject = z.ZodObject,
  Steps extends StepPolicies = StepPolicies,
> {
  /** The workflow type, in camelCase. */
  readonly name: string;
  /** One sentence for the catalogue. */
  readonly description: string;
  /** The parameters; each is identifying unless its schema says `.meta({ identifying: false })`. */
  readonly parameters: Parameters;
  readonly steps: Steps;
  /** Refuses to go on with an instance that an earlier execution has left unfinished. @default false */
  readonly preventRestart?: boolean;
  /**
   * What a failed step leads to. `fail`: the execution ends, the next start goes on. `hold`: it waits for an operator to
   * resume it, skip what failed, or stop it. @default 'fail'
   */
  readonly onFailure?: 'fail' | 'hold';
  /**
   * What becomes of the other branches of a flow (`Promise.all`) when a step of one fails. `stop`: they commit the
   * chunks they have in hand and stop. `finish`: each finishes the step that it has begun. Neither begins another step:
   * the job has failed then, and the next start goes on with what is left. @default 'stop'
   */
  readonly onBranchFailure?: BranchPolicy;
  /** What the parameters change of the policies, by step. */
  readonly policies?: (parameters: z.output<Parameters>) => {
    readonly [Step in keyof Steps]?: Partial<Omit<Steps[Step], 'kind'>>;
  };
}

/** The parameters of a job as its flow and its steps see them: validated, defaults filled in, as JSON. */
export type ParametersOf<Job extends JobDefinition> = JsonOf<z.output<Job['parameters']>>;

/** The parameters of a job as a caller gives them. */
export type InputOf<Job extends JobDefinition> = z.input<Job['parameters']>;

/** The names of a job's steps. */
export type StepName<Job extends JobDefinition> = keyof Job['steps'] & string;

/** Declares a job. Pure: nothing runs, nothing is registered. */
export function defineJob<Parameters extends z.ZodObject, const Steps extends StepPolicies>(
  definition: JobDefinition<Parameters, Steps>,
): JobDefinition<Parameters, Steps> {
  return definition;
}
