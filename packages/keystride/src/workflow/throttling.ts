/** The steps of a run that wait for a gate to open, and why. */
export class Throttling {
  readonly #entries = new Set<{ reason: string }>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Why the job is throttled: what the first of them says; undefined when none waits. */
  get reason(): string | undefined {
    const [first] = this.#entries;
    return first?.reason;
  }

  /** @returns `tell` says why it still waits, `end` that it does no more. */
  begin(reason: string): { readonly tell: (reason: string) => void; readonly end: () => void } {
    const entry = { reason };
    const tell = (now: string) => {
      entry.reason = now;
      this.#changed();
    };
    const end = () => {
      this.#entries.delete(entry);
      this.#changed();
    };
    this.#entries.add(entry);
    this.#changed();
    return { tell, end };
  }
}
