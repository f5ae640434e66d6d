import { Command, CommanderError } from 'commander';
import { packageVersion } from './version.ts';
import { commandTable, headOf } from './command-table.ts';
import { CommandError, exitCodes, problemJson } from '../operator/command-error.ts';
import { harmless, printJson } from './output.ts';
import { asCalled, keystride } from '../operator/called-as.ts';
import { ownCommands } from '../project/project.ts';

// Nothing but the help's list of commands is loaded here: whoever asks for help, or mistypes, waits for nothing else.

const help = `
Exit codes: 0 done, 1 failed, 2 usage, 3 completed with skips, 130 detached (the run goes on).
With -o json the last line on stdout is one JSON value; everything else goes to stderr.

Examples:
  $ keystride init shop                             a project of your own, with one job that works
  $ keystride dev --detach                          the parts alone
  $ keystride start invoiceReminder --param dueBefore=2027-01-01 --watch
  $ keystride list`;

/**
 * Obeys a command line. What it prints goes to stdout and stderr, how it ends is the exit code of this process; an error
 * that is not the caller's is told in the same way.
 *
 * @param words what stands behind `keystride`
 */
export async function runCommand(words: readonly string[]): Promise<void> {
  try {
    const program = await programFor(words);
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    await end(error, words);
  }
}

/**
 * `keystride` with all its commands: complete is the one that is called, of the others the help's lines are there. It
 * is the first word that names one, whatever options and `help` stand before it: no option there takes a value.
 */
async function programFor(words: readonly string[]): Promise<Command> {
  const program = new Command('keystride')
    .description('Durable batch jobs on Temporal: keyset pages, chunk commits, exactly once.')
    .version(packageVersion())
    // What follows a command is for that one: `dev` has options of the same names as its own commands.
    .enablePositionalOptions()
    .addHelpText('after', help);
  const isCalled = ({ name }: { name: string }) =>
    name === words.find((word) => !word.startsWith('-') && word !== 'help');
  for (const entry of commandTable) {
    const head = headOf(entry);
    program.addCommand(isCalled(entry) ? await (await entry.load())(head) : head, {
      hidden: entry.hidden === true,
    });
  }
  // The project's configuration is read for its commands' sake alone.
  const own = commandTable.some(isCalled) || asksForVersion(words) ? [] : await ownCommands();
  for (const entry of own) {
    const command = isCalled(entry) ? ((await entry.load()).default() as Command) : new Command();
    program.addCommand(command.name(entry.name).description(entry.description));
  }
  forEveryCommand(program, withOurManners);
  return program;
}

function asksForVersion([first = '']: readonly string[]): boolean {
  return first === '-V' || first === '--version';
}

function forEveryCommand(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) forEveryCommand(child, change);
}

/** What all commands have in common. */
function withOurManners(command: Command): void {
  command
    .option('--debug', 'show the stack of an error')
    .configureOutput({
      writeOut: (text) => void process.stdout.write(asCalled(text)),
      writeErr: (text) => void process.stderr.write(harmless(asCalled(text))),
    })
    .exitOverride()
    .showHelpAfterError(`(${pathOf(command)} --help shows how)`);
}

/** A command as it is called: `keystride schedule create`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Says what went wrong, on stderr for people and on stdout for scripts, and sets the exit code. */
async function end(error: unknown, words: readonly string[]): Promise<void> {
  if (!(error instanceof CommanderError)) {
    const { reportFailure } = await import('./failure-report.ts');
    return reportFailure(error, { debug: words.includes('--debug'), json: wantsJson(words) });
  }
  // Help and version end as an error of exit code 0. Of everything else commander has told a person already.
  if (error.exitCode === 0) return;
  const problem = usageProblem(error);
  if (wantsJson(words)) printJson(problemJson(problem));
  process.exitCode = problem.exitCode;
}

/** A mistake in the command line. */
function usageProblem(error: CommanderError): CommandError {
  const what = error.message.replace(/^error: /, '');
  const asked = error.code === 'commander.help' || error.code === 'commander.helpDisplayed';
  return new CommandError(
    { what: asked ? 'no command was given' : what, todo: `See the commands: ${keystride} --help` },
    { cause: error, exitCode: exitCodes.usage, type: 'Usage' },
  );
}

/** Read by hand: a mistake in the command line may keep the options from being parsed. */
function wantsJson(words: readonly string[]): boolean {
  return words.some(
    (word, index) =>
      /^(-o=?|--output=)json$/.test(word) ||
      ((word === '-o' || word === '--output') && words[index + 1] === 'json'),
  );
}
