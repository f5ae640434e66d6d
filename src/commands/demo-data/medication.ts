import type { Command } from 'commander';
import { count, keystride } from 'keystride/command';
import { createDemoMedication } from '../../demo-data/medication.ts';
import { kindCommand, makeKind, type KindOptions } from './kind.ts';

const help = `
The rows go into table management of the target database (DATABASE_URL), where medicationHistory finds them: members
1 to 100, fifty medications, to be taken from 2025-10-01 to 2025-10-05.

Examples:
  $ keystride demo-data medication --rows 1000000
  $ keystride demo-data medication --rows 10000 --seed 7 --reset`;

/** `keystride demo-data medication` */
export function medicationCommand(): Command {
  return kindCommand('medication', 'medication that members take', help).action(medication);
}

function medication(options: KindOptions): Promise<void> {
  return makeKind(options, 'rows', createDemoMedication, (made) => ({
    told: `${count(made.management)} rows of management, ${count(made.history)} of history`,
    next: `${keystride} start medicationHistory --param date=2025-10-01 --watch`,
  }));
}
