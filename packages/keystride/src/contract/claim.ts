/** The claim that an execution holds on its instance; every write to the ledger names it. */
export interface Claim {
  readonly job: string;
  readonly instance: string;
  readonly epoch: number;
  /** The workflow that claimed it; undefined from a build that did not say. */
  readonly owner?: string;
  /** The ledger that it was claimed in; undefined from a build that did not say. */
  readonly ledger?: string;
  /** What a redrive runs again; undefined for a job's own execution. */
  readonly redrives?: RedrivenInstance;
}

/** The instance whose skipped items a redrive runs again. */
export interface RedrivenInstance {
  readonly instance: string;
  /** Those of its job: its steps are run with them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}
