import type { Tuning } from '../contract/messages.ts';
import type { CoursePoint } from '../contract/progress.ts';
import type { ComparedSteps } from '../contract/verification.ts';
import type { Adapted } from './adaptation.ts';

/** What a run that continues another must know of it. */
export interface CarriedState {
  readonly startedAt: string;
  /** The reason of a pause that is to go on; null for none. */
  readonly paused: string | null;
  readonly tuning: Tuning;
  readonly setAside: Readonly<Record<string, readonly string[]>>;
  /** How often the ledger was found behind the history; undefined for never. */
  readonly rewinds?: number;
  /** Undefined from a build that learned nothing. */
  readonly adapted?: Readonly<Record<string, Adapted>>;
  readonly course?: readonly CoursePoint[];
  /** How far its verifications have come; undefined for none. */
  readonly compared?: ComparedSteps;
}
