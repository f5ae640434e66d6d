import { Command, Option } from 'commander';
import pg from 'pg';
import { loadConfig } from '../settings/config.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { migrateLedger, migrateTables, type MigrationSet } from '../ledger/migrate.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { databaseProblem, reasonOf } from './failures.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes, printJson, printLine } from './output.ts';

/** Migrations of the user's own tables. */
export interface OwnMigrations extends MigrationSet {
  /** The variable that names their database: `DATABASE_URL`, `SOURCE_DATABASE_URL` or one of the user's. */
  readonly database: string;
}

interface MigrateOptions extends OutputOptions {
  only?: string;
}

/** What is brought up to date, and where. */
interface Migration {
  readonly name: string;
  readonly database: string;
  apply(url: string): Promise<string[]>;
}

const help = `
First the ledger, schema keystride of DATABASE_URL, then each set of migrations that keystride.config.ts names, in its
order. A set whose tables somebody else makes, as those of a source in production, is left alone by \`--only\`.

Examples:
  $ keystride migrate
  $ keystride migrate --only ledger
  $ keystride migrate -o json`;

/**
 * `keystride migrate`: brings the ledger and the user's own tables up to date.
 *
 * @param ownMigrations is asked when the command runs.
 */
export function migrateCommand(ownMigrations: () => Promise<readonly OwnMigrations[]>): Command {
  return new Command('migrate')
    .description('make or update the ledger, and the tables of your own migrations')
    .addOption(new Option('--only <set>', 'only the ledger (`ledger`), or only this set of migrations'))
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (options: MigrateOptions) => migrateAll(await ownMigrations(), options));
}

async function migrateAll(own: readonly OwnMigrations[], { only, output }: MigrateOptions): Promise<void> {
  const ledger: Migration = { name: 'ledger', database: 'DATABASE_URL', apply: migrateLedger };
  const sets = own.map((set): Migration => ({ ...set, apply: (url) => migrateTables(url, set) }));
  const chosen = choose([ledger, ...sets], only).map((set) => ({ ...set, url: urlOf(set.database) }));
  const applied: Record<string, string[]> = {};
  for (const { name, database, url, apply } of chosen) {
    const files = await explained(() => apply(url), url, database);
    applied[name] = files;
    if (output === 'text') show(name, url, files);
  }
  if (output === 'json') printJson(applied);
}

function choose(all: readonly Migration[], only: string | undefined): readonly Migration[] {
  const chosen = all.filter(({ name }) => only === undefined || name === only);
  if (chosen.length > 0) return chosen;
  throw new CommandError(
    {
      what: `there are no migrations called ${only}`,
      todo: `Name one of these: ${all.map(({ name }) => name).join(', ')}`,
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

/** @throws ConfigError, CommandError when the variable is not set. */
function urlOf(variable: string): string {
  if (variable === 'DATABASE_URL') return loadConfig(process.env, ['databaseUrl']).databaseUrl;
  if (variable === 'SOURCE_DATABASE_URL')
    return loadConfig(process.env, ['sourceDatabaseUrl']).sourceDatabaseUrl;
  const url = process.env[variable];
  if (url !== undefined && url !== '') return url;
  throw new CommandError({
    what: `${variable} is not set`,
    todo: 'Set it to the address of the database that is to be migrated, or choose other migrations with --only.',
  });
}

function show(name: string, url: string, applied: readonly string[]): void {
  const place = withoutCredentials(url);
  if (applied.length === 0) return printLine(`${name}: up to date (${place})`);
  printLine(`${name}: applied ${applied.length} (${place})`);
  for (const file of applied) printLine(`  ${file}`);
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
