import path from 'node:path';
import type { Command } from 'commander';
import { shellWord } from '../contract/shell.ts';
import { ScaffoldError } from '../scaffold/files.ts';
import { writeProject } from '../scaffold/project.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { printJson, printLine } from './output.ts';

const help = `
Writes a project that runs: its configuration, one job over a table with its migration, and a test on real parts that
kills the worker in the middle. It leaves alone what is there: when one of the files exists, nothing is written.

Examples:
  $ keystride init shop
  $ keystride init .`;

/** `keystride init`: a project of one's own. */
export function initCommand(command: Command): Command {
  return command.addOption(outputOption()).addHelpText('after', help).action(init);
}

function init(directory: string, options: OutputOptions): void {
  const { name, files } = scaffolded('Init', () => writeProject(directory));
  if (options.output === 'json')
    return printJson({ project: name, directory: path.resolve(directory), files });
  const shown = path.relative(process.cwd(), path.resolve(directory));
  for (const file of files) printLine(`wrote ${path.join(shown, file)}`);
  if (shown !== '') printLine(`  next  cd ${shellWord(shown)}`);
  printLine(`${shown === '' ? '  next' : '      '}  npm install && npm run demo`);
  printLine('        npm test');
}

/** Does what may be refused, and tells a person why it was. */
export function scaffolded<Result>(type: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ScaffoldError)) throw error;
    const { what, todo } = error;
    throw new CommandError({ what, todo }, { cause: error, exitCode: exitCodes.usage, type });
  }
}
