import type { Cursor } from '../contract/cursor.ts';
import type { JobDefinition, ParametersOf } from '../contract/job.ts';
import type { StepPolicy, TaskletPolicy } from '../contract/policy.ts';
import { failure } from '../contract/errors.ts';
import type { Comparison, Difference } from '../contract/verification.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from './chunks.ts';

/** The work of a tasklet: its effect, in the transaction that completes the step, and its result. */
export interface TaskletWork<Result = unknown> {
  run(transaction: Transaction): Promise<Result>;
  /**
   * Whether `run` would find something to do now. A flow that waits for the step asks again and again, outside of any
   * transaction; what it throws counts as yes. Left out: always.
   */
  due?(signal: AbortSignal): Promise<boolean>;
}

/** The work of a verification step. */
export interface VerificationWork extends Comparison {
  /**
   * Notes what differs for whoever writes the target, also while a run goes on, who puts it right: then nobody else does, and
   * `repair` is not asked for.
   */
  readonly handOver?: (differences: readonly Difference[], transaction: Transaction) => Promise<void>;
  /** How differences are put right; without it they are only told. */
  readonly repair?: {
    /** The chunk step that runs an item again, under its policy. */
    readonly step: string;
    /** What runs it, where that is not the work of the step itself: a set step runs no single item. */
    readonly work?: AnyChunkWork;
    /** Removes from the target what has no source. @returns how many rows, for the report */
    remove?(keys: readonly Cursor[], transaction: Transaction): Promise<number>;
    /**
     * Removes from other stores what nothing leads to, and attempts before `fence` have written: they commit nothing more
     * when it is called. It must leave what a later attempt has written, and what was written under another ledger.
     */
    clear?(keys: readonly Cursor[], fence: number, ledger?: string): Promise<void>;
  };
}

/** The work that a step of this policy wants. */
type WorkOf<Policy extends StepPolicy> =
  Policy extends TaskletPolicy<infer Result> ? TaskletWork<Result> : WorkOfKind[Policy['kind']];

interface WorkOfKind {
  readonly chunk: AnyChunkWork | AnySetWork;
  readonly tasklet: TaskletWork;
  readonly verification: VerificationWork;
}

/** The work behind each step of a job, made anew for each activity from what it knows of the run. */
export type StepsOf<Job extends JobDefinition> = {
  readonly [Step in keyof Job['steps']]: (
    context: StepContext<ParametersOf<Job>>,
  ) => WorkOf<Job['steps'][Step]>;
};

/** What a job wants to be told. */
export interface JobHooks {
  /** The execution has failed. It may be called again when the answer was lost; what it throws is logged. */
  onFailure?(context: StepContext, reason: string): Promise<void>;
  /**
   * The highest epoch that stores outside the ledger have seen of the instance; 0 for none. An execution that claims it
   * goes on above that, also in a ledger that was restored to below it. Called before each claim.
   */
  highestEpoch?(context: Pick<StepContext, 'parameters' | 'instance' | 'log'>): Promise<number>;
}

/** A job with the work behind its steps. */
export interface RegisteredJob {
  readonly definition: JobDefinition;
  readonly hooks: JobHooks;
  readonly steps: Readonly<Record<string, (context: StepContext) => WorkOfKind[StepPolicy['kind']]>>;
}

/** Joins a job's contract with its work; every step must have one, of its kind. */
export function registerJob<Job extends JobDefinition>(
  definition: Job,
  steps: StepsOf<Job>,
  hooks: JobHooks = {},
): RegisteredJob {
  return { definition, hooks, steps: steps as unknown as RegisteredJob['steps'] };
}

/**
 * The jobs that a worker serves.
 *
 * What one does not have another may: while workers are replaced, the retry can reach a newer one.
 */
export class JobRegistry {
  readonly #jobs: ReadonlyMap<string, RegisteredJob>;

  constructor(jobs: readonly RegisteredJob[]) {
    this.#jobs = new Map(jobs.map((job) => [job.definition.name, job]));
  }

  /** @throws UnknownJob */
  definition(name: string): JobDefinition {
    return this.#find(name).definition;
  }

  /** @throws UnknownJob */
  hooks(name: string): JobHooks {
    return this.#find(name).hooks;
  }

  /**
   * The work of a step of the given kind.
   *
   * @throws UnknownJob when this worker was built without the job, the step, or has it as another kind.
   */
  work<Kind extends StepPolicy['kind']>(
    kind: Kind,
    job: string,
    step: string,
    context: StepContext,
  ): WorkOfKind[Kind] {
    const { definition, steps } = this.#find(job);
    const make = steps[step];
    if (!make || definition.steps[step]?.kind !== kind) {
      throw failure(
        'UnknownJob',
        `this worker has no ${kind} step ${step} in job ${job}; is it an older build?`,
        { retryable: true },
      );
    }
    return make(context) as WorkOfKind[Kind];
  }

  #find(name: string): RegisteredJob {
    const job = this.#jobs.get(name);
    if (job) return job;
    const known = [...this.#jobs.keys()].join(', ');
    throw failure('UnknownJob', `this worker has no job ${name}; it has: ${known}. Is it an older build?`, {
      retryable: true,
    });
  }
}
