import type { Counters } from './progress.ts';

/** The workflow type that delivers one alert. */
export const alertType = 'alert';

/** How a webhook wants its messages: as they are, or as the `text` that Slack, Mattermost and others show. */
export type AlertFormat = 'json' | 'slack';

/** Where alerts go, as the environment of a worker says it. */
export interface AlertSettings {
  /** Told of executions that fail or hold; undefined for nobody. */
  readonly webhookUrl?: string;
  /** Told of items that have failed for good; undefined for nobody. They are in the ledger all the same. */
  readonly deadLetterUrl?: string;
  readonly format: AlertFormat;
}

/** What happened, as the workflow tells it. */
export interface AlertRequest {
  /** `notStarted`: a schedule was to start it, and it was refused. */
  readonly kind: 'failed' | 'holding' | 'notStarted';
  readonly job: string;
  /** The instance, or the job where there was none yet. */
  readonly instance: string;
  /** The failure and its causes in one line, outermost first; never a row's content. */
  readonly reason: string;
  /** The step that failed; undefined where it was none, and from a build that did not say. */
  readonly step?: string | null;
  /** The partitions of it that failed. */
  readonly partitions?: readonly number[];
}

/** A step in an alert, with what has committed of it. */
export interface AlertedStep extends Counters {
  readonly step: string;
  readonly status: string;
  /** Rows that it was expected to read; null when nobody knew. */
  readonly expected: number | null;
  readonly partitions: { readonly total: number; readonly done: number };
}

/** Where in Temporal it happened. */
interface AlertPlace {
  readonly workflowId: string;
  readonly runId: string;
  /** The run in the Temporal UI; null where nobody has said where that is. */
  readonly uiUrl: string | null;
  /** ISO time. */
  readonly at: string;
}

/** An execution that has failed, holds, or was not started: the body of the alert webhook. */
export interface JobAlert extends AlertRequest, AlertPlace {
  /** The step that failed; null where it was none. */
  readonly step: string | null;
  /** The partitions of it that failed. */
  readonly partitions: readonly number[];
  readonly steps: readonly AlertedStep[];
  /** What can be done, as sentences with commands. */
  readonly next: readonly string[];
}

/** An item that has failed for good and has ended its step: a row of `keystride.dead_letter`. */
export interface DeadLetter extends AlertPlace {
  readonly kind: 'deadLetter';
  readonly job: string;
  readonly instance: string;
  readonly step: string;
  readonly partition: number;
  readonly key: string;
  readonly phase: 'read' | 'process' | 'write';
  readonly code: string;
  /** The cause without its particulars. */
  readonly fingerprint: string;
  readonly message: string;
  readonly attempts: number;
}

/** What is posted to a webhook. */
export type Alert = JobAlert | DeadLetter;

/** How an alert was delivered. */
export interface AlertDelivery {
  /** The webhook's host; its path may be a secret. */
  readonly host: string;
  readonly status: number;
}
