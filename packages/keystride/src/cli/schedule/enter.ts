import type { AuditAction, AuditFacts } from '../../contract/audit.ts';
import { enterChange } from '../../ledger/audit.ts';
import { authorOf, type AuthorOptions } from '../author.ts';
import { reasonOf } from '../explain.ts';
import { progressLine } from '../output.ts';
import { withLedger } from '../skips-ledger.ts';

/** A change of a schedule that Temporal has made. */
interface ScheduleChange extends AuthorOptions {
  readonly action: Extract<AuditAction, `schedule ${string}`>;
  readonly scheduleId: string;
  readonly job: string;
  readonly before?: AuditFacts;
  readonly after?: AuditFacts;
}

/**
 * Enters a change of a schedule in the audit. Temporal has made it already, so a ledger that cannot be told undoes
 * nothing: people are told that it does not know.
 */
export async function enterScheduleChange(change: ScheduleChange): Promise<void> {
  const { action, scheduleId: subject, job, before = {}, after = {} } = change;
  try {
    await withLedger((ledger) =>
      enterChange(ledger, { ...authorOf(change), action, subject, job, before, after }),
    );
  } catch (error) {
    progressLine(`  note  done, but not entered in the audit: ${reasonOf(error)}`);
  }
}
