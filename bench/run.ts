import { cpus } from 'node:os';
import { Argument, Command } from 'commander';
import { table } from '../src/cli/format.ts';
import { outputOption, wholeNumber, type OutputOptions } from '../src/cli/options.ts';
import { benchMigration, type MigrationFigures } from './migration.ts';

await new Command('bench')
  .description('measure, on a stack of its own, and say how far from the limit')
  .addArgument(new Argument('<what>', 'what to measure').choices(['migration']))
  .option('--runs <n>', 'runs of each kind; medians are told', wholeNumber(1, 100), 3)
  .addOption(outputOption())
  .action(async (_what: string, { runs, output }: OutputOptions & { runs: number }) => {
    const figures = await benchMigration(runs);
    const print = output === 'json' ? console.error : console.log;
    for (const line of lines(figures)) print(line);
    if (output === 'json') console.log(JSON.stringify(figures));
  })
  .parseAsync();

function lines(figures: Readonly<Record<string, MigrationFigures>>): string[] {
  const rows = Object.entries(figures).map(([name, { limitSeconds, seconds, ratio, runs }]) => [
    name,
    `${limitSeconds.toFixed(2)} s`,
    `${seconds.toFixed(2)} s`,
    ratio.toFixed(2),
    runs.map((run) => run.toFixed(2)).join('  '),
  ]);
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}`;
  return [machine, ...table(['', 'limit', 'median', 'ratio', 'runs'], rows)];
}
