import { type JobStatus, mayBecome } from '../contract/states.ts';

/** The state of a run and its reason, which change only along the table of states. */
export class RunState {
  readonly #job: string;
  readonly #changed: () => void;
  #status: JobStatus = 'starting';
  #reason: string | null;

  /** @param changed called after each change of the state. */
  constructor(job: string, reason: string | null, changed: () => void) {
    this.#job = job;
    this.#reason = reason;
    this.#changed = changed;
  }

  get status(): JobStatus {
    return this.#status;
  }

  get reason(): string | null {
    return this.#reason;
  }

  /** Whether it is in that state, or may come to be in it. */
  allows(status: JobStatus): boolean {
    return this.#status === status || mayBecome(this.#status, status);
  }

  /**
   * Changes to a state. It does nothing, and keeps its reason, when it is in that state.
   *
   * @throws Error when the table has no such change. That is a fault of ours and no failure of the job: it fails the
   * workflow task, which Temporal tries again until a worker without the fault is deployed.
   */
  become(status: JobStatus, reason: string | null): void {
    if (this.#status === status) return;
    if (!mayBecome(this.#status, status))
      throw new Error(
        `${this.#job} is ${this.#status} and cannot become ${status}: this is a fault in keystride.`,
      );
    this.#status = status;
    this.#reason = reason;
    this.#changed();
  }

  /** Gives the state that it is in another reason. */
  explain(reason: string): void {
    this.#reason = reason;
  }
}
