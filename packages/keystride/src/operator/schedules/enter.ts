import type { AuditAction, AuditFacts, Authorship } from '../../contract/audit.ts';
import { enterChange } from '../../ledger/audit.ts';
import { reasonOf } from '../explain.ts';
import { withLedger } from '../ledger.ts';

/** Who changes a schedule, and why. */
export interface ScheduleAuthor extends Authorship {
  /** Told when the change was made and the ledger could not be told of it. */
  readonly onNotEntered?: (why: string) => void;
}

/** A change of a schedule that Temporal has made. */
interface ScheduleChange {
  readonly action: Extract<AuditAction, `schedule ${string}`>;
  readonly scheduleId: string;
  readonly job: string;
  readonly before?: AuditFacts;
  readonly after?: AuditFacts;
}

/**
 * Enters a change of a schedule in the audit. Temporal has made it already, so a ledger that cannot be told undoes
 * nothing.
 */
export async function enterScheduleChange(
  { onNotEntered, ...author }: ScheduleAuthor,
  { scheduleId: subject, ...change }: ScheduleChange,
): Promise<void> {
  try {
    await withLedger((ledger) => enterChange(ledger, { ...author, ...change, subject }));
  } catch (error) {
    onNotEntered?.(reasonOf(error));
  }
}
