import { Command, CommanderError } from 'commander';
import { commandTable, headOf } from '../../packages/keystride/src/cli/command-table.ts';
import { ownCommands } from '../../packages/keystride/src/project/project.ts';

/**
 * What `keystride` says of these words, which it parses and does not obey; undefined for nothing.
 *
 * @param whole it is all that is to be typed: a command that a sentence mentions may lack what it needs.
 */
export async function keystrideProblem(
  words: readonly string[],
  whole: boolean,
): Promise<string | undefined> {
  const name = words.find((word) => !word.startsWith('-'));
  if (name === undefined) return undefined;
  const program = new Command('keystride').enablePositionalOptions().helpCommand(true);
  const command = await commandCalled(name);
  if (command === undefined) return 'there is no such command';
  program.addCommand(command);
  inert(program);
  try {
    await program.parseAsync(words, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const lacks = ['commander.missingArgument', 'commander.missingMandatoryOptionValue', 'commander.help'];
    return error.exitCode === 0 || (!whole && lacks.includes(error.code)) ? undefined : error.message;
  }
}

async function commandCalled(name: string): Promise<Command | undefined> {
  const entry = commandTable.find((one) => one.name === name);
  if (entry !== undefined) return (await entry.load())(headOf(entry));
  const own = (await ownCommands()).find((one) => one.name === name);
  return own && ((await own.load()).default() as Command).name(name);
}

function inert(command: Command): void {
  command
    .option('--debug')
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  // Every command, those with commands of their own included: `dev` starts servers by itself.
  command.action(() => undefined);
  for (const child of command.commands) inert(child);
}
