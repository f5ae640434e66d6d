import { createReadStream } from 'node:fs';
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
 * @throws CommandError when a sensitive one stands on the command line, which other users see in the list of processes;
 * when one is given twice, or two from standard input, which holds one; and when a file cannot be read, is empty, longer than
 * any parameter, or no UTF-8
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
  const names = [...param, ...paramFile].map(nameOf);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw unusable(`${twice} is given twice`, 'Give each parameter once.');
  const typed = paramFile.filter((word) => fileOf(word) === '-').map(nameOf);
  if (typed.length > 1)
    throw unusable(
      `standard input is to give ${typed.join(' and ')}, and holds one value`,
      'Give all of them but one by a file, --param-file name=FILE',
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

function fileOf(word: string): string {
  return word.slice(nameOf(word).length + 1);
}

/** More than any parameter takes: Temporal refuses a start with it. In bytes. */
const longestValue = 1024 * 1024;

const decoder = new TextDecoder('utf-8', { fatal: true });

async function withContent(word: string): Promise<string> {
  const file = fileOf(word);
  if (file === '') throw unusable(`"${word}" names no file`, 'Write --param-file name=file.');
  const from = file === '-' ? `standard input, for ${nameOf(word)},` : `the file of ${word}`;
  const bytes = await bytesOf(file).catch((error: unknown) => {
    throw unusable(`${from} cannot be read (${codeOf(error)})`, 'Correct its name, or its rights.');
  });
  if (bytes.length > longestValue)
    throw unusable(
      `${from} is longer than 1 MiB`,
      'A parameter says what is to be done; it is no place for data.',
    );
  const value = textOf(bytes)?.replace(/\r?\n$/u, '');
  if (value === undefined) throw unusable(`${from} is no UTF-8`, 'Write the value as UTF-8.');
  if (value === '') throw unusable(`${from} is empty`, 'Look whether what is to fill it has failed.');
  return `${nameOf(word)}=${value}`;
}

/** Of what is too long, as much as shows that it is. */
async function bytesOf(file: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of file === '-' ? process.stdin : createReadStream(file)) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length > longestValue) break;
  }
  return Buffer.concat(parts);
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function unusable(what: string, todo: string): CommandError {
  return new CommandError({ what, todo }, { exitCode: exitCodes.usage, type: 'JobParametersInvalid' });
}
