import { Context } from '@temporalio/activity';
import type { PageRequest, PartitionState } from '../contract/step-activities.ts';
import type { ErrorClass } from '../contract/classification.ts';
import { addRetries, type Counters, type PageHeartbeat, type Retries } from '../contract/progress.ts';
import type { Skip } from '../ledger/skips.ts';
import type { CallLimiter } from '../stores/http/call-limiter.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { traceIdOf } from '../telemetry/traces.ts';

/** What a chunk has added when it has committed. */
export interface Committed {
  readonly counters: Counters;
  readonly skips: readonly Skip[];
}

/** What a page tells while it works: metrics, and the lines of the log. All of it is about what has committed. */
export class PageTelemetry {
  readonly #metrics: Metrics;
  readonly #labels: { readonly job_name: string; readonly step: string };
  readonly #place: Readonly<Record<string, unknown>>;
  readonly #began = performance.now();
  #retries: Retries;

  constructor(metrics: Metrics, { claim, step, partition }: PageRequest) {
    const { job, instance } = claim;
    const traceId = traceIdOf(claim);
    this.#metrics = metrics;
    this.#labels = { job_name: job, step };
    // An attempt that has failed has told what it had tried again by its heartbeats alone.
    this.#retries = (Context.current().info.heartbeatDetails as PageHeartbeat | undefined)?.retries ?? {};
    this.#place = { job, instance, step, partition, ...(traceId === undefined ? {} : { traceId }) };
  }

  /** A chunk has committed, which took so many milliseconds. */
  committed({ counters, skips }: Committed, milliseconds: number): void {
    const { read, written, filtered } = counters;
    if (read > 0) this.#metrics.add('rowsRead', read, this.#labels);
    if (written > 0) this.#metrics.add('rowsWritten', written, this.#labels);
    if (filtered > 0) this.#metrics.add('rowsFiltered', filtered, this.#labels);
    this.#metrics.record('chunkSeconds', milliseconds / 1000, this.#labels);
    for (const [code, alike] of Map.groupBy(skips, (skip) => skip.code))
      this.#metrics.add('rowsSkipped', alike.length, { ...this.#labels, code });
    for (const { code, phase, key, attempts, message: reason } of skips)
      Context.current().log.info('item skipped', { ...this.#place, key, phase, code, attempts, reason });
  }

  /** What was tried again, by code, earlier attempts of the page included. */
  get retries(): Retries {
    return this.#retries;
  }

  /** Something is to be tried again. */
  retried(phase: 'process' | 'prepare' | 'write', { code }: Pick<ErrorClass, 'code'>): void {
    this.#retries = addRetries(this.#retries, { [code]: 1 });
    this.#metrics.add('retries', 1, { ...this.#labels, phase, code });
  }

  /** How many calls of an API are out, and may be. */
  calls({ api, inFlight, limit }: Pick<CallLimiter, 'api' | 'inFlight' | 'limit'>): void {
    this.#metrics.set('callsInFlight', inFlight, { api });
    this.#metrics.set('callsLimit', limit, { api });
  }

  /** The page has ended; without a state when it has failed, which is told elsewhere. */
  ended(state: PartitionState | undefined): void {
    const seconds = (performance.now() - this.#began) / 1000;
    this.#metrics.record('pageSeconds', seconds, this.#labels);
    if (!state) return;
    const { done, counters, throttled } = state;
    Context.current().log.info('page ended', {
      ...this.#place,
      ...{ done, seconds: Math.round(seconds * 1000) / 1000, ...counters },
      ...(throttled && { throttled: throttled.reason }),
    });
  }
}
