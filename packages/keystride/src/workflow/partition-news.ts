import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { PageRequest, PartitionState } from '../contract/activities.ts';
import { messages } from '../contract/messages.ts';
import { addDecisions, type Decision } from '../contract/progress.ts';

/** The least time between two signals, in milliseconds: each is nine events in the two histories together. */
const tellEvery = 60_000;

/** Tells the job what the pages of its partition have decided, now and then; the end of the partition tells the rest. */
export class PartitionReporter {
  readonly #step: string;
  #untold: readonly Decision[] = [];
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor({ step }: PageRequest) {
    this.#step = step;
  }

  /** What the job has not been told. */
  get untold(): readonly Decision[] {
    return this.#untold;
  }

  page({ chunkSize, decisions = [], done, throttled }: PartitionState): void {
    this.#untold = addDecisions(this.#untold, decisions);
    const { parent } = workflowInfo();
    const ends = done || throttled !== undefined;
    if (!parent || ends || this.#untold.length === 0 || Date.now() - this.#toldAt < tellEvery) return;
    const news = {
      step: this.#step,
      ...(chunkSize === undefined ? {} : { chunkSize }),
      decisions: this.#untold,
    };
    this.#toldAt = Date.now();
    this.#untold = [];
    // A job that has ended meanwhile needs no news.
    getExternalWorkflowHandle(parent.workflowId)
      .signal(messages.news, news)
      .catch(() => undefined);
  }
}
