import { Command, Option } from 'commander';
import { loadConfig } from '../settings/config.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { migrate, type MigrationSet } from '../stores/postgres/migrate.ts';
import { databaseProblem, reasonOf } from './failures.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import pg from 'pg';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, printJson, printLine } from './output.ts';

interface MigrateOptions extends OutputOptions {
  only?: MigrationSet;
}

const help = `
The migration database (DATABASE_URL) gets the ledger and the tables that the jobs write to. The service's database
(SOURCE_DATABASE_URL) gets the tables that are read: in production it has them, and \`--only migration\` leaves it alone.

Examples:
  $ keystride migrate
  $ keystride migrate --only migration
  $ keystride migrate -o json`;

/** `keystride migrate`: brings the databases up to date. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('make or update the tables of both databases')
    .addOption(new Option('--only <set>', 'only this database').choices(['migration', 'service']))
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(migrateBoth);
}

async function migrateBoth({ only, output }: MigrateOptions): Promise<void> {
  const sets = (['migration', 'service'] as const).filter((set) => only === undefined || set === only);
  const variables = { migration: 'databaseUrl', service: 'sourceDatabaseUrl' } as const;
  const config = loadConfig(
    process.env,
    sets.map((set) => variables[set]),
  );
  const applied: Partial<Record<MigrationSet, string[]>> = {};
  for (const set of sets) {
    // Loaded with this need: loadConfig has thrown if it is not there.
    const url = config[variables[set]] ?? '';
    applied[set] = await explained(() => migrate(url, set), url, namesOf[variables[set]]);
    if (output === 'text') show(set, url, applied[set]);
  }
  if (output === 'json') printJson(applied);
}

function show(set: MigrationSet, url: string, applied: readonly string[]): void {
  const place = withoutCredentials(url);
  if (applied.length === 0) return printLine(`${set}: up to date (${place})`);
  printLine(`${set}: applied ${applied.length} (${place})`);
  for (const name of applied) printLine(`  ${name}`);
}

const namesOf = { databaseUrl: 'DATABASE_URL', sourceDatabaseUrl: 'SOURCE_DATABASE_URL' } as const;

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
