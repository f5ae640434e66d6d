#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { packageVersion } from './version.ts';
import { bundleCommand } from './bundle.ts';
import { controlCommands } from './controls.ts';
import { devCommand } from './dev.ts';
import { explain } from './failures.ts';
import { initCommand } from './init.ts';
import { jobsCommand } from './jobs.ts';
import { listCommand } from './list.ts';
import { migrateCommand } from './migrate.ts';
import { newCommand } from './new-job.ts';
import { errorJson, CommandError, exitCodes, harmless, printError, printJson } from './output.ts';
import { asCalled, keystride } from './called-as.ts';
import { ownCommands } from '../project/project.ts';
import { loadCatalogue } from './catalogue.ts';
import { planCommand } from './plan.ts';
import { proveCommand } from './prove.ts';
import { scheduleCommand } from './schedule.ts';
import { skipsCommand } from './skips.ts';
import { startCommand } from './start.ts';
import { statusCommand } from './status.ts';
import { syncCommand } from './sync.ts';
import { verifyCommand } from './verify.ts';
import { workerCommand } from './worker.ts';

const help = `
Exit codes: 0 done, 1 failed, 2 usage, 3 completed with skips, 130 detached (the run goes on).
With -o json the last line on stdout is one JSON value; everything else goes to stderr.

Examples:
  $ keystride demo                                  everything at once, on this machine
  $ keystride dev --detach                          the parts alone
  $ keystride start documentMigration --watch
  $ keystride list`;

await loadCatalogue();
const program = new Command('keystride')
  .description('Durable batch jobs on Temporal: keyset pages, chunk commits, exactly once.')
  .version(packageVersion())
  // What follows a command is for that one: `dev` has options of the same names as its own commands.
  .enablePositionalOptions()
  .addHelpText('after', help);
const commands = [
  [initCommand(), await devCommand(), workerCommand(), migrateCommand(), bundleCommand()],
  [newCommand(), jobsCommand(), startCommand(), statusCommand(), listCommand(), ...controlCommands()],
  [scheduleCommand(), skipsCommand(), syncCommand(), verifyCommand(), planCommand(), proveCommand()],
];
for (const command of commands.flat()) program.addCommand(command);
for (const own of await ownCommands()) program.addCommand((await own.load()).default() as Command);
forEveryCommand(program, (command) =>
  command
    .option('--debug', 'show the stack of an error')
    .configureOutput({
      writeOut: (text) => void process.stdout.write(asCalled(text)),
      writeErr: (text) => void process.stderr.write(harmless(asCalled(text))),
    })
    .exitOverride()
    .showHelpAfterError(`(${pathOf(command)} --help shows how)`),
);

const argv = process.argv.slice(2);
// Whoever reads our output may have seen enough: `keystride --help | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
try {
  await program.parseAsync(argv, { from: 'user' });
} catch (error) {
  end(error);
}

function forEveryCommand(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) forEveryCommand(child, change);
}

/** A command as it is called: `keystride schedule create`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Says what went wrong, on stderr for people and on stdout for scripts, and sets the exit code. */
function end(error: unknown): void {
  const explained = error instanceof CommanderError ? usageProblem(error) : explain(error);
  if (explained === undefined) return;
  // Commander has told a person already.
  if (!(error instanceof CommanderError)) printError(explained, { debug: argv.includes('--debug') });
  if (wantsJson(argv)) printJson(errorJson(explained));
  process.exitCode = explained instanceof CommandError ? explained.exitCode : exitCodes.failed;
}

/** Help and version end as an error of exit code 0; everything else is a mistake in the command line. */
function usageProblem(error: CommanderError): CommandError | undefined {
  if (error.exitCode === 0) return undefined;
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
