import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { PageRequest, PartitionNews, PartitionState } from '../contract/step-activities.ts';
import { messages } from '../contract/messages.ts';
import { addDecisions, addRetries, type Decision, type Retries } from '../contract/progress.ts';

/** The least time between two signals, in milliseconds: each is nine events in the two histories together. */
const tellEvery = 60_000;

/** Tells the job what the pages of its partition have decided and tried again, now and then; the end of the partition tells the rest. */
export class PartitionReporter {
  readonly #step: string;
  #untold: readonly Decision[] = [];
  #untoldRetries: Retries = {};
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor({ step }: PageRequest) {
    this.#step = step;
  }

  /** What the job has not been told. */
  get untold(): Required<Pick<PartitionNews, 'decisions' | 'retries'>> {
    return { decisions: this.#untold, retries: this.#untoldRetries };
  }

  page({ chunkSize, decisions = [], retries = {}, done, throttled }: PartitionState): void {
    this.#untold = addDecisions(this.#untold, decisions);
    this.#untoldRetries = addRetries(this.#untoldRetries, retries);
    const { parent } = workflowInfo();
    const ends = done || throttled !== undefined;
    const nothing = this.#untold.length === 0 && Object.keys(this.#untoldRetries).length === 0;
    if (!parent || ends || nothing || Date.now() - this.#toldAt < tellEvery) return;
    const news = {
      step: this.#step,
      ...(chunkSize === undefined ? {} : { chunkSize }),
      ...this.untold,
    };
    this.#toldAt = Date.now();
    this.#untold = [];
    this.#untoldRetries = {};
    // A job that has ended meanwhile needs no news.
    getExternalWorkflowHandle(parent.workflowId)
      .signal(messages.news, news)
      .catch(() => undefined);
  }
}
