import type { Figures } from './figures.ts';
import type { Key } from './keys.ts';

/** What is to be measured, and how. */
export interface Request {
  readonly keys: ReadonlySet<Key>;
  /** Runs of each way. */
  readonly runs: number;
  /** Ten million rows too, where growth is measured. */
  readonly large: boolean;
  /** The other engines too, where they can be built. */
  readonly peers: boolean;
}

/** What came of it, by key. */
export type Results = Partial<Record<Key, Figures>>;
