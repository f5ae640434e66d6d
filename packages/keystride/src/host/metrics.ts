import { Runtime, type RuntimeOptions } from '@temporalio/worker';
import type { ByteBudget } from '../page/byte-budget.ts';
import { type Ages, readAges } from '../ledger/ages.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RegisteredJob } from '../job/registry.ts';
import { ConfigError } from '../settings/config.ts';
import { histogramBuckets } from '../telemetry/metric-table.ts';
import { type Metrics, metricsOn, noMetrics } from '../telemetry/metrics.ts';

/**
 * Begins the SDK's runtime with its exporter for Prometheus, where an address is given; it answers `/metrics` until the
 * process ends.
 *
 * @returns where this process counts; nowhere without an address.
 * @throws ConfigError when nobody can listen there.
 */
export function installRuntime(options: RuntimeOptions, metricsAddress: string | undefined): Metrics {
  if (metricsAddress === undefined) {
    Runtime.install(options);
    return noMetrics;
  }
  const prometheus = {
    bindAddress: metricsAddress,
    countersTotalSuffix: true,
    unitSuffix: true,
    useSecondsForDurations: true,
    histogramBucketOverrides: histogramBuckets(),
  };
  try {
    Runtime.install({ ...options, telemetryOptions: { metrics: { prometheus, attachServiceName: false } } });
  } catch (error) {
    throw new ConfigError(
      [{ variable: 'KEYSTRIDE_METRICS', problem: `cannot be listened on: ${metricsAddress}` }],
      `${error instanceof Error ? error.message : 'The address may be taken'}. Give each worker of a machine an address of its own.`,
    );
  }
  return metricsOn(Runtime.instance().metricMeter);
}

/** Something whose figures are looked at every second, not at every change. */
export interface Sampled {
  readonly ledger: Ledger;
  readonly budget: ByteBudget;
  readonly jobs: readonly RegisteredJob[];
}

const gaugesEveryMs = 1_000;

const agesEveryMs = 15_000;

const outcomes = ['completed', 'failed', 'stopped'] as const;

const alertKinds = ['failed', 'holding', 'notStarted'] as const;

/**
 * Sets the gauges of a process as long as it lives, and makes the counters that alerts are about known: of a counter that
 * begins with 1 Prometheus sees no increase.
 *
 * @returns ends it.
 */
export function sampleGauges(metrics: Metrics, { ledger, budget, jobs }: Sampled): () => void {
  if (metrics === noMetrics) return () => undefined;
  const names = jobs.map(({ definition }) => definition.name);
  for (const job of names) {
    for (const outcome of outcomes) metrics.add('executionsEnded', 0, { job_name: job, outcome });
    for (const kind of alertKinds) metrics.add('alertsRaised', 0, { job_name: job, kind });
  }
  metrics.set('bytesLimit', budget.limit, {});
  const gauges = setInterval(() => metrics.set('bytesInFlight', budget.held, {}), gaugesEveryMs);
  let asking = false;
  const look = async () => {
    if (asking) return;
    asking = true;
    const ages = await readAges(ledger).catch(() => undefined);
    asking = false;
    metrics.set('ledgerUp', ages ? 1 : 0, {});
    if (ages) setAges(metrics, names, ages);
  };
  void look();
  const ages = setInterval(() => void look(), agesEveryMs);
  return () => {
    clearInterval(gauges);
    clearInterval(ages);
  };
}

/** A job without an execution has none that is old: its gauge must not stay where it was. */
function setAges(metrics: Metrics, jobs: readonly string[], { executions, streams }: Ages): void {
  const seconds = new Map(executions.map((one) => [one.job, one.seconds]));
  for (const job of jobs) metrics.set('oldestExecution', seconds.get(job) ?? 0, { job_name: job });
  for (const { stream, seconds: lag } of streams) metrics.set('syncLag', lag, { stream });
}
