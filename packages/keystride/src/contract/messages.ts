import type { ChangedBy } from './audit.ts';
import type { JobStatus } from './states.ts';

/** The names of the messages that every job answers, for the workflow that handles and the client that sends. */
export const messages = {
  progress: 'progress',
  pause: 'pause',
  resume: 'resume',
  stop: 'stop',
  skip: 'skip',
  tune: 'tune',
  /** A signal from a partition to its job. */
  news: 'partitionNews',
} as const;

/** What `pause`, `resume`, `stop` and `skip` take. The reason is shown wherever the state is, and kept in the audit. */
export interface ControlRequest {
  readonly reason?: string | undefined;
  /** Undefined for a request of Temporal's own command or UI: the audit then has whom Temporal knows as its sender. */
  readonly by?: ChangedBy;
}

/** What `tune` changes: what is not named stays as it is. It holds for all chunk steps, until the execution ends. */
export interface Tuning {
  /** The commit interval, 1 to 100,000. */
  readonly chunkSize?: number;
  /** Items being processed at a time, over all partitions, 1 to 10,000. */
  readonly concurrency?: number;
  /** Partitions running at a time, 1 to 1,000. */
  readonly partitions?: number;
  /** Items started a second, over all partitions; 0 lifts the limit. */
  readonly rowsPerSecond?: number;
}

/** What a tuning is sent as. */
export interface TuneRequest extends Tuning, ControlRequest {}

/** What every control answers: the state that it led to. */
export interface ControlAnswer {
  readonly status: JobStatus;
}

/** The memo in which a run hands on what the one that continues it must know: its workflow keeps one argument. */
export const carriedMemo = 'keystrideCarried';
