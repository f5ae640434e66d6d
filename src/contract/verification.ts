/** What the workflow `verification` takes: it compares what an instance left behind, and changes nothing. */
export interface VerificationInput {
  readonly job: string;
  readonly parameters: unknown;
}

/** What it returns. */
export interface VerificationReport {
  readonly job: string;
  readonly instance: string;
  readonly verified: boolean;
  readonly compared: number;
  readonly differences: number;
  /** The first differences, by key. */
  readonly examples: readonly string[];
}
