import { Command } from 'commander';
import { loadConfig, withoutCredentials } from '../config.ts';
import { createDemoDocuments, type DemoDocumentsOptions } from '../dev/demo-data/documents.ts';
import { reasonOf } from './failures.ts';
import { count } from './format.ts';
import { outputOption, wholeNumber, type OutputOptions } from './options.ts';
import { CommandError, exitCodes, printJson, printLine, progressLine } from './output.ts';

interface DocumentsOptions extends OutputOptions {
  count?: number;
  seed?: string;
  from?: string;
  reset?: true;
}

const help = `
The rows go into the service's database (SOURCE_DATABASE_URL), where targetSync finds them. The same seed gives the same
rows; doing it again adds nothing that is there. With --from, the stub of the legacy API must serve the same directory:
keystride dev --legacy-api "--from DIR".

Examples:
  $ keystride demo-data documents --count 1000000
  $ keystride demo-data documents --count 1000 --seed 7 --reset
  $ keystride demo-data documents --from ./node_modules`;

/** `keystride demo-data`: rows to try the jobs on. */
export function demoDataCommand(): Command {
  const command = new Command('demo-data')
    .description('make data to try the jobs on')
    .addHelpText('after', help);
  command
    .command('documents')
    .description('documents that have to be migrated')
    .option('--count <n>', 'how many; with --from at most so many', wholeNumber(1, 1_000_000_000))
    .option('--seed <text>', 'decides members, names and times')
    .option('--from <dir>', 'one document for each text file below this directory')
    .option('--reset', 'empty the tables first')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(documents);
  return command;
}

async function documents(options: DocumentsOptions): Promise<void> {
  if (options.count === undefined && options.from === undefined)
    throw new CommandError(
      { what: 'nobody has said how many documents', todo: 'Give --count N, or --from DIR.' },
      { exitCode: exitCodes.usage, type: 'Usage' },
    );
  const { sourceDatabaseUrl } = loadConfig(process.env, ['sourceDatabaseUrl']);
  const made = await createDocuments({
    sourceDatabaseUrl,
    ...(options.count !== undefined && { count: options.count }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.from !== undefined && { from: options.from }),
    ...(options.reset && { reset: true }),
    onProgress: (done, total) => progressLine(`${count(done)} of ${count(total)} documents`),
  });
  if (options.output === 'json') return printJson(made);
  printLine(`${count(made.documents)} documents, ${count(made.targets)} of them to migrate`);
  printLine('  next  keystride start targetSync --watch');
}

/** Makes documents. @throws CommandError with the reason and the database, without credentials */
export async function createDocuments(
  options: DemoDocumentsOptions,
): Promise<{ documents: number; targets: number }> {
  try {
    return await createDemoDocuments(options);
  } catch (error) {
    throw new CommandError(
      {
        what: reasonOf(error),
        where: withoutCredentials(options.sourceDatabaseUrl),
        todo: 'Correct what the message names; for missing tables run: keystride migrate',
      },
      { cause: error, type: 'DemoData' },
    );
  }
}
