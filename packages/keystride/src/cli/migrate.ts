import type { Command } from 'commander';
import pg from 'pg';
import { loadSettings } from '../dev/settings.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { migrateLedger, migrateTables } from '../ledger/migrate.ts';
import type { MigrationFolder } from '../project/config.ts';
import { loadProject, migrationsOf, projectFile } from '../project/project.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { databaseProblem, reasonOf } from '../operator/explain.ts';
import { plain } from '../operator/format.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { printJson, printLine } from './output.ts';

interface MigrateOptions extends OutputOptions {
  only?: string;
  /** False where nobody works with the ledger who could not go on with what this release begins. */
  olderWorkers: boolean;
}

const help = `
The database of the ledger (DATABASE_URL) gets schema keystride, and nothing else of it is touched. Then come the
numbered SQL files that keystride.config.ts names under migrations, each set in its own database.

A ledger that an earlier release has made is worked with as that release does, so that its workers can go on with any run.
When the last of them has ended, --no-older-workers lets short runs take half the events; workers heed it when they start.

Examples:
  $ keystride migrate
  $ keystride migrate --only ledger
  $ keystride migrate --no-older-workers
  $ keystride migrate -o json`;

/** `keystride migrate`: brings the ledger and the project's own tables up to date. */
export function migrateCommand(command: Command): Command {
  return command
    .option('--only <set>', 'ledger, or the name of a set in keystride.config.ts')
    .option('--no-older-workers', 'no worker of an earlier release works with this ledger, or will')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(migrate);
}

/** The ledger's files belong to the library; every other set to the project. */
type MigrationSet = Omit<MigrationFolder, 'folder'> & { readonly folder?: string };

async function migrate({ only, olderWorkers, output }: MigrateOptions): Promise<void> {
  const file = projectFile();
  const own = file === undefined ? [] : migrationsOf(await loadProject(file));
  const all: readonly MigrationSet[] = [{ name: 'ledger' }, ...own];
  const sets = all.filter(({ name }) => only === undefined || name === only);
  if (sets.length === 0) throw unknownSet(only ?? '', all);
  if (!olderWorkers && !sets.some(({ folder }) => folder === undefined)) throw notTheLedger(only ?? '');
  const applied: Record<string, string[]> = {};
  for (const set of sets) {
    const variable = set.database ?? 'DATABASE_URL';
    const url = addressOf(variable);
    const apply = () =>
      set.folder === undefined
        ? migrateLedger(url, { olderWorkers })
        : migrateTables(url, { ...set, folder: set.folder });
    const files = await explained(apply, url, variable);
    applied[set.name] = files;
    if (output === 'text') show(set.name, url, files);
  }
  if (output === 'json') printJson(applied);
}

function addressOf(variable: 'DATABASE_URL' | 'SOURCE_DATABASE_URL'): string {
  return variable === 'DATABASE_URL'
    ? loadSettings(process.env, ['databaseUrl']).databaseUrl
    : loadSettings(process.env, ['sourceDatabaseUrl']).sourceDatabaseUrl;
}

function unknownSet(name: string, all: readonly MigrationSet[]): CommandError {
  return new CommandError(
    {
      what: `there is no set of migrations ${plain(name)}`,
      todo: `Name one of: ${all.map((set) => set.name).join(', ')}.`,
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

function notTheLedger(name: string): CommandError {
  return new CommandError(
    {
      what: `--no-older-workers is about the ledger, which --only ${plain(name)} leaves as it is`,
      todo: 'Leave one of them out.',
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

function show(set: string, url: string, applied: readonly string[]): void {
  const place = withoutCredentials(url);
  if (applied.length === 0) return printLine(`${set}: up to date (${place})`);
  printLine(`${set}: applied ${applied.length} (${place})`);
  for (const name of applied) printLine(`  ${name}`);
}

async function explained<Result>(
  work: () => Promise<Result>,
  url: string,
  variable: string,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    // Where nobody came in, the message of the way there says what helps; a file that failed is named by its own.
    const cause = error instanceof Error ? error.cause : error;
    const refused = cause instanceof pg.DatabaseError && !/^(28|3D|53|57)/u.test(cause.code ?? '');
    if (!refused && databaseProblemOf(cause, { url, variable })) throw databaseProblem(cause, url, variable);
    const todo = 'Correct what the message names, then run it again: what was applied stays.';
    throw new CommandError(
      { what: reasonOf(error), where: withoutCredentials(url), todo },
      { cause: error, type: 'Database' },
    );
  }
}
