import { Argument, Command } from 'commander';
import { outputOption, wholeNumber, type OutputOptions } from '../packages/keystride/src/cli/options.ts';
import { withBench } from './bench.ts';
import { writeDocument } from './document.ts';
import { keys, type Key } from './keys.ts';
import { describeMachine } from './machine.ts';
import { lines } from './report.ts';
import { measureAll } from './suite.ts';

/** What all measurements together may take where none is named, in seconds. */
const tenMinutes = 600;

interface Options extends OutputOptions {
  readonly runs: number;
  readonly peers: boolean;
  readonly large: boolean;
  readonly writeDocs: boolean;
}

await new Command('bench')
  .description('measure, on a stack of its own, and say how far from the limit')
  .addArgument(
    new Argument('[what...]', 'what to measure; without names, what ten minutes allow').choices(keys),
  )
  .option('--runs <n>', 'runs of ours and of the limit; medians are told', wholeNumber(1, 100), 3)
  .option('--peers', 'the other engines too, once each; needs Java and Maven', false)
  .option('--large', 'growth to ten million rows, and a ledger of ten thousand runs', false)
  .option('--write-docs', 'what is measured, however long it takes, into docs/performance.md', false)
  .addOption(outputOption())
  .action(run)
  .parseAsync();

async function run(names: readonly Key[], { output, writeDocs, ...options }: Options): Promise<void> {
  const note = (text: string) => console.error(text);
  const request = { ...options, keys: new Set(names.length === 0 ? keys : names) };
  const bounded = names.length === 0 && !writeDocs && !options.peers && !options.large;
  const { results, leftOut, machine } = await withBench({ note }, async (bench) => ({
    machine: await describeMachine(bench),
    ...(await measureAll(bench, request, bounded ? tenMinutes : undefined)),
  }));
  if (writeDocs) await writeDocument(results, machine);
  const print = output === 'json' ? console.error : console.log;
  for (const line of [machine, ...lines(results), ...absent(leftOut, options)]) print(line);
  if (output === 'json') console.log(JSON.stringify(results));
}

/** What was not measured, and how it is. */
function absent(leftOut: readonly Key[], { peers, large }: Pick<Options, 'peers' | 'large'>): string[] {
  const what = [
    ...(leftOut.length > 0 ? [[leftOut.join(', '), leftOut.join(' ')]] : []),
    ...(peers ? [] : [['the other engines', '--peers']]),
    ...(large ? [] : [['ten million rows', 'growth --large']]),
  ];
  return what.map(([name, words]) => `Left out: ${name}. To measure: npm run bench -- ${words}`);
}
