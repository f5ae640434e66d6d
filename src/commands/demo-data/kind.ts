import { Command } from 'commander';
import {
  CommandError,
  count,
  databaseProblem,
  databaseProblemOf,
  exitCodes,
  keystride,
  loadSettings,
  outputOption,
  type OutputOptions,
  printJson,
  printLine,
  progressLine,
  reasonOf,
  wholeNumber,
  withoutCredentials,
} from 'keystride/command';
import type { DemoDataOptions } from '../../demo-data/database.ts';

/** The options of every kind of data. */
export interface KindOptions extends OutputOptions {
  count?: number;
  seed?: string;
  reset?: true;
}

/** `keystride demo-data NAME` with the options of every kind; a kind adds its own and its action. */
export function kindCommand(name: string, description: string, help: string): Command {
  return new Command(name)
    .description(description)
    .option('--rows, --count <n>', 'how many', wholeNumber(1, 1_000_000_000))
    .option('--seed <text>', 'decides everything that is random')
    .option('--reset', 'empty the tables first')
    .addOption(outputOption())
    .addHelpText('after', help);
}

/** The seed and `--reset`, as the makers of data take them. */
export function seedAndReset({ seed, reset }: KindOptions): { seed?: string; reset?: boolean } {
  return { ...(seed !== undefined && { seed }), ...(reset && { reset }) };
}

/** `--count`. @throws CommandError when nobody has said how many */
export function countOf({ count: wanted }: KindOptions, what: string, otherwise = ''): number {
  if (wanted !== undefined) return wanted;
  throw new CommandError(
    { what: `nobody has said how many ${what}`, todo: `Give --count N${otherwise}.` },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

/**
 * Makes rows in the target database and tells of them.
 *
 * @param what they are called.
 * @param make makes them.
 * @param tell what came of it, and the command that does something with it.
 * @throws CommandError
 */
export async function makeKind<Made extends object>(
  options: KindOptions,
  what: string,
  make: (request: DemoDataOptions) => Promise<Made>,
  tell: (made: Made) => { readonly told: string; readonly next: string },
): Promise<void> {
  const wanted = countOf(options, what);
  const { databaseUrl } = loadSettings(process.env, ['databaseUrl']);
  const request = { databaseUrl, count: wanted, ...seedAndReset(options), onProgress: progressOf(what) };
  const made = await explained(databaseUrl, () => make(request));
  const { told, next } = tell(made);
  printMade(made, told, next, options);
}

/** Tells how far it is. */
export function progressOf(what: string): (done: number, total: number) => void {
  return (done, total) => progressLine(`${count(done)} of ${count(total)} ${what}`);
}

/** Makes data. @throws CommandError with the reason and the database, without credentials */
export async function explained<Made>(
  databaseUrl: string,
  make: () => Promise<Made>,
  variable = 'DATABASE_URL',
): Promise<Made> {
  try {
    return await make();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (databaseProblemOf(cause, { url: databaseUrl, variable }))
      throw databaseProblem(cause, databaseUrl, variable);
    throw new CommandError(
      {
        what: reasonOf(error),
        where: withoutCredentials(databaseUrl),
        todo: `Correct what the message names; for missing tables run: ${keystride} migrate`,
      },
      { cause: error, type: 'DemoData' },
    );
  }
}

/** Prints what came of it, and the command that does something with it. */
export function printMade(made: object, told: string, next: string, { output }: OutputOptions): void {
  if (output === 'json') return printJson(made);
  printLine(told);
  printLine(`  next  ${next}`);
}
