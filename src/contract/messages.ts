import type { JobStatus } from './states.ts';

/** The names of the messages that every job answers, for the workflow that handles and the client that sends. */
export const messages = {
  progress: 'progress',
  pause: 'pause',
  resume: 'resume',
  stop: 'stop',
} as const;

/** What `pause` and `stop` take. The reason is shown wherever the state is. */
export interface ControlRequest {
  readonly reason?: string;
}

/** What every control answers: the state that it led to. */
export interface ControlAnswer {
  readonly status: JobStatus;
}
