import {
  countPartitions,
  readPartitions,
  type PartitionChoice,
  type PartitionCounts,
  type PartitionFigures,
} from '../ledger/partition-figures.ts';
import { withLedger } from './ledger.ts';

/** The partitions of a step: how many there are, and some of them. */
export interface StepPartitions {
  readonly step: string;
  readonly counts: PartitionCounts;
  /** All of them, or those that are under way where there are many. */
  readonly partitions: readonly PartitionFigures[];
  readonly all: boolean;
}

/** More partitions than this are not read at once: those that are under way are. */
const mostAtOnce = 120;

/** The longest that whoever looks at a run waits for the ledger, in milliseconds. */
const impatient = 3_000;

/**
 * The partitions of an instance's steps that have several, as far as they have committed.
 * @throws CommandError when the ledger cannot be asked
 */
export function partitionsOf(instance: string): Promise<StepPartitions[]> {
  return withLedger(async (ledger) => {
    const found: StepPartitions[] = [];
    for (const [step, counts] of await countPartitions(ledger, instance)) {
      const all = counts.total <= mostAtOnce;
      const choice = { instance, step, underWay: !all, limit: mostAtOnce };
      found.push({ step, counts, partitions: await readPartitions(ledger, choice), all });
    }
    return found;
  }, impatient);
}

/** Some partitions of a step, by number. @throws CommandError when the ledger cannot be asked */
export function listPartitions(choice: PartitionChoice): Promise<PartitionFigures[]> {
  return withLedger((ledger) => readPartitions(ledger, choice), impatient);
}
