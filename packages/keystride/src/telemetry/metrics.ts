import type { MetricCounter, MetricGauge, MetricHistogram, MetricMeter } from '@temporalio/common';
import { type MetricName, metricTable } from './metric-table.ts';

type Table = typeof metricTable;

/** The metrics of a kind. */
type Named<Kind> = { [Name in MetricName]: Table[Name]['kind'] extends Kind ? Name : never }[MetricName];

/** A value for each label of a metric. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<Table[Name]['labels'][number], string>>;

/** Where a worker counts and measures. Whoever works with rows calls it once a chunk, never once a row. */
export interface Metrics {
  /** Adds to a counter. Zero makes it known, so that its first increase is one. */
  add<Name extends Named<'counter'>>(name: Name, value: number, labels: LabelsOf<Name>): void;
  /** Records a measurement of a histogram. */
  record<Name extends Named<'histogram'>>(name: Name, value: number, labels: LabelsOf<Name>): void;
  /** Sets a gauge. */
  set<Name extends Named<'gauge'>>(name: Name, value: number, labels: LabelsOf<Name>): void;
}

/** Counts nothing, and costs nothing. */
export const noMetrics: Metrics = { add: () => {}, record: () => {}, set: () => {} };

/** The metrics of the table, on a meter of the SDK. */
export function metricsOn(meter: MetricMeter): Metrics {
  const counters = new Map<string, MetricCounter>();
  const histograms = new Map<string, MetricHistogram>();
  const gauges = new Map<string, MetricGauge>();
  for (const [key, { name, kind, help }] of Object.entries(metricTable)) {
    // Names end with their units: the exporter would append one to some of them only.
    if (kind === 'counter') counters.set(key, meter.createCounter(name, '', help));
    else if (kind === 'histogram') histograms.set(key, meter.createHistogram(name, 'float', '', help));
    else gauges.set(key, meter.createGauge(name, 'float', '', help));
  }
  const values = Object.fromEntries(chosenElsewhere.map((label) => [label, new BoundedValues()]));
  const bounded = (labels: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(labels).map(([label, value]) => [label, values[label]?.bounded(value) ?? value]),
    );
  return {
    add: (name, value, labels) => counters.get(name)?.add(value, bounded(labels)),
    record: (name, value, labels) => histograms.get(name)?.record(value, bounded(labels)),
    set: (name, value, labels) => gauges.get(name)?.set(value, bounded(labels)),
  };
}

/** Labels whose values nobody here has chosen: codes are the words of a job, and a schedule may name any job. */
const chosenElsewhere = ['code', 'job_name'];

/** What such a label may be: short words, and not more of them than this. */
const mostValues = 100;

class BoundedValues {
  readonly #known = new Set<string>();

  bounded(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= mostValues || !/^[\w.-]{1,60}$/u.test(value)) return 'other';
    this.#known.add(value);
    return value;
  }
}
