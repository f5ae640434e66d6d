import { cpus } from 'node:os';
import { Argument, Command } from 'commander';
import { table } from '../src/cli/format.ts';
import { outputOption, wholeNumber, type OutputOptions } from '../src/cli/options.ts';
import type { Growth, Measured } from './figures.ts';
import { benchMedicationItems, benchMedicationSet } from './medication.ts';
import { benchMigration } from './migration.ts';
import { benchPurchase } from './purchase.ts';
import { benchSync } from './sync.ts';

const benches: Readonly<Record<string, (runs: number) => Promise<Measured>>> = {
  medicationItems: benchMedicationItems,
  medicationSet: benchMedicationSet,
  migration: benchMigration,
  purchase: benchPurchase,
  sync: benchSync,
};

await new Command('bench')
  .description('measure, on a stack of its own, and say how far from the limit')
  .addArgument(new Argument('<what...>', 'what to measure, one after another').choices(Object.keys(benches)))
  .option('--runs <n>', 'runs of each kind; medians are told', wholeNumber(1, 100), 3)
  .addOption(outputOption())
  .action(async (what: readonly string[], { runs, output }: OutputOptions & { runs: number }) => {
    const measured = await measureAll(what, runs);
    const print = output === 'json' ? console.error : console.log;
    for (const line of lines(measured)) print(line);
    const { figures, ...others } = measured;
    if (output === 'json') console.log(JSON.stringify({ ...figures, ...others }));
  })
  .parseAsync();

async function measureAll(names: readonly string[], runs: number): Promise<Measured> {
  const all: Measured[] = [];
  for (const name of names) {
    const measured = await benches[name]?.(runs);
    if (measured) all.push(measured);
  }
  const growth: Readonly<Record<string, Growth>> = Object.assign(
    {},
    ...all.map((measured) => measured.growth ?? {}),
  );
  const figures: Measured['figures'] = Object.assign({}, ...all.map((measured) => measured.figures));
  return { figures, ...(Object.keys(growth).length > 0 && { growth }) };
}

function lines({ figures, growth = {} }: Measured): string[] {
  const rows = Object.entries(figures).map(([name, { limitSeconds, seconds, ratio, runs }]) => [
    name,
    `${limitSeconds.toFixed(2)} s`,
    `${seconds.toFixed(2)} s`,
    ratio.toFixed(2),
    runs.map((run) => run.toFixed(2)).join('  '),
  ]);
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}`;
  return [machine, ...table(['', 'limit', 'median', 'ratio', 'runs'], rows), ...growthLines(growth)];
}

function growthLines(growth: Readonly<Record<string, Growth>>): string[] {
  const rows = Object.entries(growth).map(
    ([size, { seconds, microsecondsPerRow, microsecondsPerFurtherRow: further }]) => [
      size,
      `${seconds.toFixed(2)} s`,
      `${microsecondsPerRow.toFixed(2)} µs`,
      further === null ? '' : `${further.toFixed(2)} µs`,
    ],
  );
  return rows.length === 0 ? [] : table(['rows', 'median', 'a row', 'a further row'], rows);
}
