import { Command } from 'commander';
import { couponsCommand } from './demo-data/coupons.ts';
import { documentsCommand } from './demo-data/documents.ts';
import { medicationCommand } from './demo-data/medication.ts';
import { ordersCommand } from './demo-data/orders.ts';
import { pointsCommand } from './demo-data/points.ts';

const help = `
Rows are made by the database itself, a million in seconds. The same seed gives the same rows; doing it again adds
nothing that is there, and a larger count adds the rest.

Examples:
  $ keystride demo-data documents --count 1000000
  $ keystride demo-data orders --count 100000 --seed 7 --reset`;

/** `keystride demo-data`: rows to try the jobs on, one command a kind. */
export function demoDataCommand(): Command {
  const command = new Command().addHelpText('after', help);
  const kinds = [documentsCommand(), ordersCommand(), couponsCommand(), medicationCommand(), pointsCommand()];
  for (const kind of kinds) command.addCommand(kind);
  return command;
}
