import { commandAuthor } from '../../operator/author.ts';
import type { ScheduleAuthor } from '../../operator/schedules/enter.ts';
import type { AuthorOptions } from '../author.ts';
import { progressLine } from '../output.ts';

/** Who changes a schedule. A change that the ledger could not be told of is made all the same, and people hear of it. */
export function scheduleAuthor({ reason, operator }: AuthorOptions): ScheduleAuthor {
  const onNotEntered = (why: string) => progressLine(`  note  done, but not entered in the audit: ${why}`);
  return { ...commandAuthor({ reason, operator }), onNotEntered };
}
