import { CancellationScope, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import type { GateRequest, StepRequest, Throttled } from '../contract/step-activities.ts';
import { throttledBy } from '../contract/held-back.ts';
import type { QuietHours } from '../contract/policy.ts';
import type { Decision } from '../contract/progress.ts';
import { checkGate } from './activities.ts';
import type { JobRun } from './job-run.ts';

/** The longest wait before a health is asked for again, in seconds. Each time costs about six events. */
const longestSeconds = 60;

/** Hours that are known to be quiet are looked at again after so many seconds: somebody may have changed them. */
const longestQuietSeconds = 3600;

/** How much longer each wait is than the one before it. */
const slower = 1.5;

/** A step that could work for so long before it was throttled again begins with short waits, in milliseconds. */
const calmMs = 60_000;

/** Seconds until the next look. @param waited those that were waited for the last one; 0 for none. */
export function secondsUntilNextLook({ retryAfterSeconds, certain }: Throttled, waited = 0): number {
  if (certain) return Math.min(retryAfterSeconds, longestQuietSeconds);
  return Math.min(longestSeconds, Math.max(retryAfterSeconds, Math.round(waited * slower)));
}

/**
 * Waits while a step is throttled. The job shows as throttled meanwhile, its partitions are at rest, and a look at the
 * gate costs a timer and a local activity, less and less often.
 */
export class GateWait {
  readonly #run: JobRun;
  readonly #request: StepRequest;
  readonly #quietHours: readonly QuietHours[];
  #wait = 0;
  #openedAt = Number.NEGATIVE_INFINITY;
  #sleeping = new CancellationScope();

  /** @param quietHours of the step, besides those of its worker. */
  constructor(run: JobRun, request: StepRequest, quietHours: readonly QuietHours[] = []) {
    this.#run = run;
    this.#request = request;
    this.#quietHours = quietHours;
  }

  /**
   * Does what ends by itself, a tasklet or a page of a verification, as soon as it is let in.
   *
   * @throws JobStopped, JobYielded when an operator did not want to wait.
   */
  async pass<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        // It cannot be brought to rest earlier.
        return await this.#run.work.whileWorking(() => undefined, work);
      } catch (error) {
        const throttled = throttledBy(error);
        if (!throttled) throw error;
        await this.untilOpen(throttled);
      }
      await this.#run.ready();
    }
  }

  /** Returns when the step may go on, or when an operator wants something else: whoever waits asks `ready` then. */
  async untilOpen(throttled: Throttled): Promise<void> {
    if (this.#run.mustRest) return;
    if (Date.now() - this.#openedAt > calmMs) this.#wait = 0;
    const began = Date.now();
    const wait = this.#run.throttling.begin(throttled.reason);
    this.#note({ from: null, to: this.#next(throttled), reason: throttled.reason });
    // A control that changes nothing of it (a tuning) only makes it look again at once.
    await this.#run.work.whileWorking(
      () => this.#sleeping.cancel(),
      () => this.#lookUntilOpen(throttled, wait.tell),
    );
    wait.end();
    this.#openedAt = Date.now();
    const seconds = Math.round((this.#openedAt - began) / 1000);
    this.#note({ from: seconds, to: null, reason: this.#run.mustRest ? 'an operator decided' : 'went on' });
  }

  async #lookUntilOpen(throttled: Throttled, tell: (reason: string) => void): Promise<void> {
    for (let closed: Throttled | null = throttled; closed && !this.#run.mustRest;) {
      tell(closed.reason);
      const slept = Date.now();
      await this.#sleep(this.#next(closed));
      if (workflowInfo().continueAsNewSuggested) this.#run.requestYield();
      if (this.#run.mustRest) return;
      this.#wait = this.#next(closed);
      const { claim, step } = this.#request;
      const quietHours = this.#quietHours;
      // What cannot be asked is not waited for: the page will see.
      const now = Date.now();
      const waited: GateRequest['waited'] = { seconds: (now - slept) / 1000, certain: closed.certain };
      closed = await checkGate({ claim, step, quietHours, now, waited }).catch(() => null);
    }
  }

  #next(throttled: Throttled): number {
    return secondsUntilNextLook(throttled, this.#wait);
  }

  async #sleep(seconds: number): Promise<void> {
    this.#sleeping = new CancellationScope();
    try {
      await this.#sleeping.run(() => sleep(seconds * 1000));
    } catch (error) {
      if (!isCancellation(error)) throw error;
    }
  }

  #note(decision: Pick<Decision, 'from' | 'to' | 'reason'>): void {
    const at = new Date().toISOString();
    this.#run.reports.hear({ step: this.#request.step, decisions: [{ at, what: 'throttled', ...decision }] });
  }
}
