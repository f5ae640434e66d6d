/**
 * What an operator may set about a step, as plain data. Policies travel through `openJob` into Temporal's
 * history, so that a run keeps what it started with and changing a default never breaks a replay.
 */

/** How often, and how long apart, one item or one chunk is tried again after a transient error. */
export interface RetryPolicy {
  /** Retries after the first attempt. @default 3 */
  readonly retries: number;
  /** Wait before the first retry, in milliseconds; doubled for each further one. @default 250 */
  readonly initialMs: number;
  /** The longest wait, in milliseconds. @default 10000 */
  readonly maximumMs: number;
  /** Error codes, or names of error classes, that are retried besides those that stores know to be transient. */
  readonly codes?: readonly string[];
}

/** Which errors set an item aside instead of ending the step, besides a processor that throws `SkipItem`. */
export interface SkipPolicy {
  /**
   * Error codes (`SQLSTATE_22P02`, `HTTP_410`; a beginning such as `SQLSTATE_23` stands for all that follow) or names of
   * error classes, parents included. A transient error among them is skipped when its retries are used up.
   */
  readonly codes: readonly string[];
  /** Codes and names that are not skipped all the same. @default none */
  readonly except?: readonly string[];
  /** Ends the step when more than this share of the items read is skipped, once so many have been read. */
  readonly rate?: { readonly share: number; readonly afterItems: number };
}

/** How the commit interval follows the time that chunks take. */
export interface AdaptiveChunks {
  /** What writing and committing a chunk is to take, in seconds. */
  readonly targetSeconds: number;
  /** The smallest chunk, in items. @default a hundredth of `chunkSize` */
  readonly minimum?: number;
  /** The largest chunk, in items. @default `chunkSize`: chunks become smaller where they are slow, and never larger */
  readonly maximum?: number;
}

/** The same with everything that is assumed. */
export type ChunkBounds = Required<AdaptiveChunks>;

/** A time of day, on some days of the week, in which a step does not run. */
export interface QuietHours {
  /** `08:00`, on the clock of the time zone. */
  readonly from: string;
  /** `20:00`; not after `from` is the next day, and `24:00` is midnight. */
  readonly to: string;
  /** The days on which it begins. @default every day */
  readonly days?: readonly Weekday[];
  /** IANA name, `Asia/Seoul`. @default UTC */
  readonly timeZone?: string;
}

/** As quiet hours name it. */
export type Weekday = 'Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun';

/** The policy of a chunk step. */
export interface ChunkPolicy {
  readonly kind: 'chunk';
  /** The commit interval: items in one transaction. @default 1000 */
  readonly chunkSize: number;
  /**
   * Lets the commit interval follow the time that chunks take; false for never. Policies recorded before there was this
   * setting are without it: never. @default { targetSeconds: 2 }
   */
  readonly adaptiveChunks?: AdaptiveChunks | false;
  /** Items being processed at a time, over all partitions of the step. @default 1 */
  readonly concurrency: number;
  /** Key ranges that the step is planned into; 1 runs without child workflows. @default 1 */
  readonly partitions: number;
  /** Partitions running at a time. @default 8 */
  readonly window: number;
  /**
   * How long a partition has run, in seconds, before what is left of it may be cut in two for a slot that has fallen
   * idle; 0 for never. Policies recorded before there was this setting are without it: never. @default 30
   */
  readonly splitAfterSeconds?: number;
  /** How long one page activity goes on, in seconds. @default 10 */
  readonly pageSeconds: number;
  /**
   * How often what has committed must have reached the disk, and the standby that commits wait for: with each chunk, or
   * with each page. Rows and checkpoint commit together either way: a database that crashes loses or doubles nothing. With
   * `page` it may come back to a few chunks earlier, which are done again; choose it where doing an item again costs and
   * harms nothing outside of this database, and chunks are so quick that waiting for the disk is a good part of them.
   * @default 'chunk'
   */
  readonly durableEvery?: 'chunk' | 'page';
  /** Retries of one item (processor) or one chunk (writer), inside the activity. */
  readonly retry: RetryPolicy;
  /** Committed skips that the step allows, over all its partitions. @default 0 */
  readonly skipLimit: number;
  readonly skip?: SkipPolicy;
  /** Items started a second, over all partitions. An operator's `tune` comes before it. @default as many as can be */
  readonly rowsPerSecond?: number;
  /** Times in which the step holds: chunks in hand commit, and it goes on afterwards. @default none */
  readonly quietHours?: readonly QuietHours[];
  /** Executions that may open the step; one more is refused. @default any number */
  readonly startLimit?: number;
  /** Runs the step again in an execution that finds it completed. @default false */
  readonly allowStartIfComplete?: boolean;
}

/** The bounds within which a step's commit interval moves; undefined when it is fixed. */
export function chunkBoundsOf({ chunkSize, adaptiveChunks }: ChunkPolicy): ChunkBounds | undefined {
  if (!adaptiveChunks) return undefined;
  const minimum = adaptiveChunks.minimum ?? Math.max(1, Math.floor(chunkSize / 100));
  return { minimum, maximum: chunkSize, ...adaptiveChunks };
}

declare const taskletResult: unique symbol;

/**
 * The policy of a tasklet: a step that runs once.
 *
 * @typeParam Result what it returns. Only the compiler knows it: the policy that travels holds nothing of it.
 */
export interface TaskletPolicy<Result = unknown> {
  readonly [taskletResult]?: Result;
  readonly kind: 'tasklet';
  /** The longest that one attempt may take, in seconds. @default 600 */
  readonly timeoutSeconds: number;
  /** Executions that may open the step; one more is refused. @default any number */
  readonly startLimit?: number;
  /** Runs the step again in an execution that finds it completed. @default false */
  readonly allowStartIfComplete?: boolean;
}

/** The policy of a verification step: it reads source and target and changes neither. */
export interface VerificationPolicy {
  readonly kind: 'verification';
  /** Keys compared by one query of each side. @default 500 */
  readonly chunkSize: number;
  /** How long one page activity goes on, in seconds. @default 10 */
  readonly pageSeconds: number;
}

/** The policy of any step. */
export type StepPolicy = ChunkPolicy | TaskletPolicy | VerificationPolicy;

/** What the other branches of a flow do when one has failed: stop gracefully, or finish the steps they have begun. */
export type BranchPolicy = 'stop' | 'finish';

/** Three retries, a quarter of a second apart at first. */
export const defaultRetry: RetryPolicy = { retries: 3, initialMs: 250, maximumMs: 10_000 };

const defaultChunk: ChunkPolicy = {
  kind: 'chunk',
  chunkSize: 1000,
  adaptiveChunks: { targetSeconds: 2 },
  concurrency: 1,
  partitions: 1,
  window: 8,
  splitAfterSeconds: 30,
  pageSeconds: 10,
  retry: defaultRetry,
  skipLimit: 0,
};

/** A chunk step with the given settings, the rest by default. */
export function chunkStep(settings: Partial<Omit<ChunkPolicy, 'kind'>> = {}): ChunkPolicy {
  return { ...defaultChunk, ...settings };
}

/**
 * A step that runs once; its effect and its result commit with the step's ledger row.
 *
 * `taskletStep<{ couponId: string }>()` says what it returns: its work must, and the flow is given that, as JSON.
 */
export function taskletStep<Result = unknown>(
  settings: Partial<Omit<TaskletPolicy, 'kind' | typeof taskletResult>> = {},
): TaskletPolicy<Result> {
  return { kind: 'tasklet', timeoutSeconds: 600, ...settings };
}

/** A step that compares source and target. */
export function verificationStep(
  settings: Partial<Omit<VerificationPolicy, 'kind'>> = {},
): VerificationPolicy {
  return { kind: 'verification', chunkSize: 500, pageSeconds: 10, ...settings };
}

/** Whether one of a job's steps compares source and target: then it can be verified. */
export function comparesSides(steps: Readonly<Record<string, StepPolicy>>): boolean {
  return Object.values(steps).some(({ kind }) => kind === 'verification');
}
