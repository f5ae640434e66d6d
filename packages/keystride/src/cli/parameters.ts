import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { JobDefinition } from '../contract/job.ts';
import { parametersFromText } from '../contract/parameters.ts';
import { sensitiveParameters } from '../contract/sensitive.ts';
import { shellWord } from '../contract/shell.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { codeOf } from '../stores/causes.ts';
import { collect } from './options.ts';

/** The parameters of a job, as a command line gives them. */
export interface ParameterOptions {
  readonly param?: readonly string[];
  readonly paramFile?: readonly string[];
}

/** `--param` and `--param-file`. */
export function withParameters(command: Command, told = 'a parameter; repeatable'): Command {
  const inFile =
    'a parameter that a file holds, or standard input (-), as sensitive ones have to; repeatable';
  return command
    .option('-p, --param <name=value>', told, collect)
    .option('--param-file <name=file>', inFile, collect);
}

/**
 * The parameters that a command was given. The newline at the end of a file is not part of its value.
 *
 * @throws CommandError when a sensitive one stands on the command line, which other users see in the list of processes,
 * or when a file cannot be read
 * @throws JobParametersInvalid for a word that is no parameter
 */
export async function parametersOf(
  job: JobDefinition,
  { param = [], paramFile = [] }: ParameterOptions,
): Promise<Record<string, unknown>> {
  const sensitive = param.map(nameOf).find((name) => sensitiveParameters(job).has(name));
  if (sensitive !== undefined)
    throw unusable(
      `${sensitive} is sensitive, and a command line is seen by others of this machine`,
      `Give it by a file, --param-file ${sensitive}=FILE, or by standard input, --param-file ${sensitive}=-`,
    );
  return parametersFromText(job, [...param, ...(await Promise.all(paramFile.map(withContent)))]);
}

/** The same words, for a command line that is to be repeated. */
export function parameterWords({ param = [], paramFile = [] }: ParameterOptions): string {
  const words = [
    ...param.map((word) => ['--param', word] as const),
    ...paramFile.map((word) => ['--param-file', word] as const),
  ];
  return words.map(([option, word]) => ` ${option} ${shellWord(word)}`).join('');
}

function nameOf(word: string): string {
  return word.split('=', 1)[0] ?? '';
}

async function withContent(word: string): Promise<string> {
  const file = word.slice(nameOf(word).length + 1);
  if (file === '') throw unusable(`"${word}" names no file`, 'Write --param-file name=file.');
  try {
    const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
    return `${nameOf(word)}=${content.replace(/\r?\n$/u, '')}`;
  } catch (error) {
    throw unusable(
      `the file of ${word} cannot be read (${codeOf(error)})`,
      'Correct its name, or its rights.',
    );
  }
}

function unusable(what: string, todo: string): CommandError {
  return new CommandError({ what, todo }, { exitCode: exitCodes.usage, type: 'JobParametersInvalid' });
}
