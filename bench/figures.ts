/** How far a measurement is from what could be reached. Times in seconds. */
export interface Figures {
  readonly limitSeconds: number;
  /** The median of the runs. */
  readonly seconds: number;
  readonly ratio: number;
  readonly runs: readonly number[];
}

/** What so many rows took. */
export interface Growth {
  readonly seconds: number;
  readonly microsecondsPerRow: number;
  /** Of a row beyond those of the size before: what is left when starting costs nothing. */
  readonly microsecondsPerFurtherRow: number | null;
}

/** What a bench has found. */
export interface Measured {
  /** By the name of the work. */
  readonly figures: Readonly<Record<string, Figures>>;
  /** By the number of rows: how time grows with them. */
  readonly growth?: Readonly<Record<string, Growth>>;
}
