import type { Logger } from '@temporalio/common';
import type { ChunkPolicy, StepPolicy } from '../contract/policy.ts';
import { ByteBudget } from '../page/byte-budget.ts';
import type { Chunk } from '../page/chunk.ts';
import { countersOfChunk } from '../page/chunk.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from '../job/chunks.ts';
import { classifyWith, safeMessage } from '../page/item-errors.ts';
import { Pipeline } from '../page/pipeline.ts';
import { requireCount } from '../page/ranges.ts';
import type { JobRegistry } from '../job/registry.ts';
import { tellSkips, writeOutputs } from '../page/write-chunk.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { requirePlan } from './usable-plan.ts';

/** What a run of a job would meet. */
export interface StepForecast {
  readonly step: string;
  readonly kind: StepPolicy['kind'];
  /** Rows to go through: counted, or the planner's estimate; null when nobody knows. */
  readonly rows: number | null;
  readonly partitions: number;
  /** What was tried of it, in chunks that were rolled back. */
  readonly tried: TriedItems;
  /** With all partitions at once, and one after another; null when nothing was tried or the rows are not known. */
  readonly seconds: { readonly least: number; readonly most: number } | null;
  /** Events in Temporal's history, about. */
  readonly events: number;
  /** What would make it slow, or fail. */
  readonly problems: readonly string[];
}

/** What the first chunks came to. */
export interface TriedItems {
  readonly read: number;
  readonly written: number;
  readonly filtered: number;
  readonly skipped: number;
  readonly seconds: number;
  /** The first items: as they are read, and what would be written of them. */
  readonly samples: readonly { readonly before: unknown; readonly after: unknown }[];
}

export interface Forecast {
  readonly registry: JobRegistry;
  readonly job: string;
  readonly instance: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Everything that is written through it is rolled back. */
  readonly ledger: Ledger;
  readonly log: Logger;
  /** Samples wanted. */
  readonly samples: number;
  /** How long a step may be tried, in seconds. */
  readonly trySeconds: number;
}

/** Chunks that are tried of a step, unless its time is over before. */
const chunksTried = 5;

const nothingTried: TriedItems = { read: 0, written: 0, filtered: 0, skipped: 0, seconds: 0, samples: [] };

/**
 * Plans a step and tries its first chunks: read, processed and written as in a run, on a pool that keeps nothing.
 * Writers' `prepare` is left out, since what it writes elsewhere could not be taken back.
 */
export async function forecastStep(
  forecast: Forecast,
  step: string,
  policy: StepPolicy,
): Promise<StepForecast> {
  const { registry, job, parameters, instance, log, ledger } = forecast;
  const context: StepContext = { parameters, instance, epoch: 1, log };
  const empty = { step, kind: policy.kind, rows: null, partitions: 0, tried: nothingTried, seconds: null };
  if (policy.kind === 'verification') return { ...empty, events: 6, problems: [] };
  if (policy.kind === 'tasklet') {
    const work = registry.work('tasklet', job, step, context);
    const problems = await problemOf(() => ledger.transaction((transaction) => work.run(transaction)));
    return { ...empty, events: 6, problems };
  }
  if (policy.kind !== 'chunk') return { ...empty, events: 30, problems: [] };
  const work = registry.work('chunk', job, step, context);
  let tried = nothingTried;
  let rows: number | null = null;
  let partitions = 0;
  const problems = await problemOf(async () => {
    const plan = requirePlan(await work.reader.plan({ partitions: policy.partitions, signal: neverAborted }));
    rows = plan.expected;
    partitions = plan.ranges.length;
    const [range] = plan.ranges;
    if (!range || ('hasEffects' in work && work.hasEffects)) return;
    if (work.beforeStep) await ledger.transaction(async (transaction) => work.beforeStep?.(transaction));
    tried =
      'processor' in work
        ? await tryItems(forecast, work, policy, range)
        : await tryRanges(forecast, work, policy, range);
  });
  problems.unshift(...((await work.reader.problems?.().catch(() => [])) ?? []));
  const seconds = secondsOf(rows, partitions, policy, tried);
  return {
    step,
    kind: policy.kind,
    rows,
    partitions,
    tried,
    seconds,
    events: eventsOf(partitions, policy, seconds),
    problems,
  };
}

const neverAborted = new AbortController().signal;

async function problemOf(body: () => Promise<unknown>): Promise<string[]> {
  try {
    await body();
    return [];
  } catch (error) {
    return [safeMessage(error)];
  }
}

type Range = Parameters<AnyChunkWork['reader']['read']>[0]['range'];

async function tryItems(
  { ledger, samples: wanted, trySeconds }: Forecast,
  work: AnyChunkWork,
  policy: ChunkPolicy,
  range: Range,
): Promise<TriedItems> {
  const classify = classifyWith(work.classifiers, policy);
  const abort = new AbortController();
  const begun = performance.now();
  const samples: { before: unknown; after: unknown }[] = [];
  const asRead = new AsRead();
  let tried = nothingTried;
  let chunks = 0;
  const add = (chunk: Chunk) => {
    const { read, readSkipped, written, filtered, skipped } = countersOfChunk(chunk);
    tried = {
      read: tried.read + read + readSkipped,
      written: tried.written + written,
      filtered: tried.filtered + filtered,
      skipped: tried.skipped + skipped,
      seconds: (performance.now() - begun) / 1000,
      samples,
    };
    if (samples.length < wanted)
      for (const [index, { item }] of chunk
        .sources()
        .slice(0, wanted - samples.length)
        .entries())
        samples.push({ before: asRead.of(item), after: shown(chunk.outputs[index]) });
    if (++chunks === chunksTried) pipeline.stop('cancelled');
  };
  const slots = Math.max(1, Math.min(policy.partitions, policy.window));
  const pipeline = new Pipeline({
    work,
    range,
    after: null,
    policy: { ...policy, concurrency: Math.max(1, Math.floor(policy.concurrency / slots)) },
    processing: {
      processor: (item, context) => {
        if (samples.length < wanted) asRead.keep(item);
        return work.processor(item, context);
      },
      classify,
      retry: policy.retry,
      budget: new ByteBudget(bytesTried),
      signal: abort.signal,
    },
    prepare: (chunk) => Promise.resolve(chunk),
    commit: async (chunk) => {
      await ledger.transaction(async (transaction) => {
        await writeOutputs({ work, classify }, chunk, transaction);
        await tellSkips(work, chunk.skips, transaction);
      });
      add(chunk);
    },
    abort: () => abort.abort(),
  });
  const over = setTimeout(() => pipeline.stop('cancelled'), trySeconds * 1000);
  try {
    await pipeline.run();
  } finally {
    clearTimeout(over);
  }
  return tried;
}

/** Items as they were read, whatever a processor has made of them in place since. */
class AsRead {
  readonly #shown = new WeakMap<object, unknown>();

  keep(item: unknown): void {
    if (typeof item === 'object' && item !== null && !this.#shown.has(item))
      this.#shown.set(item, shown(item));
  }

  of(item: unknown): unknown {
    return typeof item === 'object' && item !== null && this.#shown.has(item)
      ? this.#shown.get(item)
      : shown(item);
  }
}

/** An item as plain data, without the key that our readers put beside it. */
function shown(item: unknown): unknown {
  const text = JSON.stringify(item, (name, value: unknown) =>
    name.startsWith('keystride_key_') ? undefined : value,
  );
  return text === undefined ? null : (JSON.parse(text) as unknown);
}

/** Bytes that items may hold while they are tried. */
const bytesTried = 64 * 1024 * 1024;

async function tryRanges(
  { ledger, trySeconds }: Forecast,
  work: AnySetWork,
  { chunkSize: limit }: ChunkPolicy,
  range: Range,
): Promise<TriedItems> {
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  let { read, written } = nothingTried;
  let after = null;
  for (let chunk = 0; chunk < chunksTried && elapsed() < trySeconds; chunk++) {
    const next = await work.reader.next({ range, after, limit, signal: neverAborted });
    if (!next) break;
    const { rows, upper, last } = next;
    written += await ledger.transaction(async (transaction) =>
      requireCount(await work.write(next, transaction)),
    );
    read += rows;
    after = upper;
    if (last) break;
  }
  return { ...nothingTried, read, written, filtered: Math.max(0, read - written), seconds: elapsed() };
}

function secondsOf(
  rows: number | null,
  partitions: number,
  { window }: ChunkPolicy,
  { read, seconds }: TriedItems,
): StepForecast['seconds'] {
  if (rows === null || read === 0) return null;
  const most = (rows * seconds) / read;
  return { least: most / Math.max(1, Math.min(partitions, window)), most };
}

/** A page is six events with its workflow task; a partition's child about twenty more. */
function eventsOf(
  partitions: number,
  { pageSeconds }: ChunkPolicy,
  seconds: StepForecast['seconds'],
): number {
  const pages = Math.max(partitions, Math.ceil((seconds?.most ?? 0) / pageSeconds));
  return 12 + 6 * pages + (partitions > 1 ? 20 * partitions : 0);
}
