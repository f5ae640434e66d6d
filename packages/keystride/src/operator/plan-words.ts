import type { PlannedStep } from '../host/plan-job.ts';
import { count, duration } from './format.ts';

/** The size of a step, in words; empty for one that goes through no rows. */
export function sizeOf({ rows, partitions, kind }: PlannedStep): string {
  if (kind !== 'chunk') return '';
  const size = rows === null ? 'nobody knows how many rows' : `${count(rows)} rows`;
  return `${size} in ${count(partitions)} ${partitions === 1 ? 'partition' : 'partitions'}`;
}

/** With all partitions at once, to one after another. */
export function spanOf({ least, most }: NonNullable<PlannedStep['seconds']>): string {
  const [quickest, slowest] = [duration(least * 1000), duration(most * 1000)];
  return quickest === slowest ? quickest : `${quickest} to ${slowest}`;
}
