/** What is told of a metric: everything but its value. */
export interface MetricDescription {
  /** As it is scraped, but for the `_total` of counters, which the exporter appends. Ends with its unit. */
  readonly name: `keystride_${string}`;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: 'rows' | 'seconds' | 'bytes' | 'calls' | 'retries' | 'executions' | 'alerts' | '1 or 0';
  /** Names of labels, each of which takes few values: never an instance, a key or a message. */
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

/** From a chunk of one row to one that runs into its statement time-out of half a minute. */
const chunkBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Pages have 10 or 30 seconds of their policy, and some time for what is in hand. */
const pageBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120, 300];

/**
 * Every metric of a worker that is ours. `docs/metrics.md` is made of it.
 *
 * The label is `job_name`, as other exporters have it: `job` is what Prometheus itself calls a group of its targets.
 */
export const metricTable = {
  rowsRead: {
    name: 'keystride_rows_read',
    kind: 'counter',
    unit: 'rows',
    labels: ['job_name', 'step'],
    help: 'Rows that a reader has delivered and whose chunk has committed.',
  },
  rowsWritten: {
    name: 'keystride_rows_written',
    kind: 'counter',
    unit: 'rows',
    labels: ['job_name', 'step'],
    help: 'Rows that have been written, in chunks that have committed.',
  },
  rowsFiltered: {
    name: 'keystride_rows_filtered',
    kind: 'counter',
    unit: 'rows',
    labels: ['job_name', 'step'],
    help: 'Rows that a processor has left out, or that were written already.',
  },
  rowsSkipped: {
    name: 'keystride_rows_skipped',
    kind: 'counter',
    unit: 'rows',
    labels: ['job_name', 'step', 'code'],
    help: 'Rows set aside, by the code of the skip; codes beyond a worker’s first hundred are "other".',
  },
  chunkSeconds: {
    name: 'keystride_chunk_duration_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['job_name', 'step'],
    help: 'Time in which a chunk was written and has committed, its retries included.',
    buckets: chunkBuckets,
  },
  pageSeconds: {
    name: 'keystride_page_duration_seconds',
    kind: 'histogram',
    unit: 'seconds',
    labels: ['job_name', 'step'],
    help: 'Time of a page, from its checkpoint to its answer, whatever became of it.',
    buckets: pageBuckets,
  },
  retries: {
    name: 'keystride_retries',
    kind: 'counter',
    unit: 'retries',
    labels: ['job_name', 'step', 'phase', 'code'],
    help: 'Retries within a page, by phase (process, prepare, write) and by the code of the error; codes beyond a worker’s first hundred are "other".',
  },
  throttledSeconds: {
    name: 'keystride_throttled_seconds',
    kind: 'counter',
    unit: 'seconds',
    labels: ['job_name', 'step', 'reason'],
    help: 'Time for which a step was held back, by reason: quietHours or health.',
  },
  callsInFlight: {
    name: 'keystride_api_calls_in_flight',
    kind: 'gauge',
    unit: 'calls',
    labels: ['api'],
    help: 'Calls of an API that this worker has out.',
  },
  callsLimit: {
    name: 'keystride_api_calls_limit',
    kind: 'gauge',
    unit: 'calls',
    labels: ['api'],
    help: 'Calls of an API that this worker may have out at a time; infinite while nothing speaks against it.',
  },
  bytesInFlight: {
    name: 'keystride_in_flight_bytes',
    kind: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'Bytes that the items in flight of this worker hold.',
  },
  bytesLimit: {
    name: 'keystride_in_flight_limit_bytes',
    kind: 'gauge',
    unit: 'bytes',
    labels: [],
    help: 'What KEYSTRIDE_BYTES_IN_FLIGHT lets them hold.',
  },
  syncLag: {
    name: 'keystride_sync_lag_seconds',
    kind: 'gauge',
    unit: 'seconds',
    labels: ['stream'],
    help: 'Time since a sync has last moved the offset of its stream, or found nothing to copy, by the clock of the ledger.',
  },
  oldestExecution: {
    name: 'keystride_oldest_execution_age_seconds',
    kind: 'gauge',
    unit: 'seconds',
    labels: ['job_name'],
    help: 'Time since the oldest execution of a job that has not ended was started; 0 where none runs.',
  },
  executionsEnded: {
    name: 'keystride_executions_ended',
    kind: 'counter',
    unit: 'executions',
    labels: ['job_name', 'outcome'],
    help: 'Executions that have ended, by outcome: completed, failed or stopped.',
  },
  alertsRaised: {
    name: 'keystride_alerts_raised',
    kind: 'counter',
    unit: 'alerts',
    labels: ['job_name', 'kind'],
    help: 'What a person was to be told, whether or not there is a webhook, by kind: failed, holding or notStarted.',
  },
  ledgerUp: {
    name: 'keystride_ledger_up',
    kind: 'gauge',
    unit: '1 or 0',
    labels: [],
    help: '1 when the ledger has answered this worker the last time it asked, every 15 seconds; else 0.',
  },
} as const satisfies Record<string, MetricDescription>;

/** The name of a metric in the table. */
export type MetricName = keyof typeof metricTable;

/** The name under which a metric is scraped; a histogram’s has `_bucket`, `_sum` and `_count` behind it. */
export function scrapedName({ name, kind }: MetricDescription): string {
  return kind === 'counter' ? `${name}_total` : name;
}

/** The buckets of the histograms, as the exporter of the SDK takes them. */
export function histogramBuckets(): Record<string, number[]> {
  const histograms = Object.values<MetricDescription>(metricTable).filter(({ buckets }) => buckets);
  return Object.fromEntries(histograms.map(({ name, buckets = [] }) => [name, [...buckets]]));
}
