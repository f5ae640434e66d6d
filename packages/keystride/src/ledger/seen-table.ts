import type { TableShape } from '../stores/postgres/table-shape.ts';

/** A column of a source as it was when it was looked at. */
export interface SeenColumn {
  /** Its number in the source: it keeps it under another name, or type. */
  readonly number: number;
  /** The names and types that the log may have it under, the present one last. */
  readonly forms: readonly (readonly [name: string, type: string])[];
  /** What rows have in it that were there before it was, as the source writes it. */
  readonly missing: string | null;
  /** Where it is copied to; null where it is not copied, or not there any more. */
  readonly to: SeenTarget | null;
}

/** Where a column is copied to. */
export interface SeenTarget {
  readonly number: number;
  readonly name: string;
  readonly type: LimitedType;
  /** What is done to it on its way. */
  readonly how: string;
  /** Whether the sink's type takes every value of the source's. */
  readonly fits: boolean;
}

/** A type below all domains, and the same with its length, scale or precision. */
export interface LimitedType {
  readonly base: string;
  readonly limitedTo: string;
}

/** A source and its sink as they were when they were looked at. */
export interface SeenTable {
  readonly source: string;
  readonly sink: string;
  /** The highest number that a column of the source had had. */
  readonly highest: number;
  /** The numbers of the columns that rows are told apart by. */
  readonly key: readonly number[];
  /** What the types of the columns call their values. */
  readonly values: TableShape['values'];
  readonly columns: readonly SeenColumn[];
}
