import type { Argument, Command, Option } from 'commander';
import { oneLine } from '../contract/inert.ts';
import { ownCommands } from '../project/project.ts';
import type { Candidate } from './candidate.ts';
import { jobCandidates, parameterCandidates } from './complete-jobs.ts';
import { commandTable, headOf } from './command-table.ts';

/** For the script of a shell: names of files may come next. */
const files: Candidate = { word: ':files' };

/** `keystride complete -- WORDS…`: what may stand in the place of the last word. The scripts of the shells ask it. */
export function completeCommand(command: Command): Command {
  return command.action(async (words: readonly string[]) => {
    // Whatever cannot be had, nobody at a prompt wants to read about.
    const found = await candidatesFor(words).catch(() => []);
    const lines = found.map(({ word, told }) => (told ? `${word}\t${oneLine(told)}\n` : `${word}\n`));
    // A connection that hangs is not to keep the prompt waiting.
    process.stdout.write(lines.join(''), () => process.exit(0));
  });
}

/**
 * What may stand in the place of the last word.
 *
 * @param words what was typed after `keystride`; the last one is being typed, and may be empty
 */
export async function candidatesFor(words: readonly string[]): Promise<readonly Candidate[]> {
  const current = words.at(-1) ?? '';
  const typed = await typedCommand(words.slice(0, -1));
  const found = typed === undefined ? await topLevel() : await nextWords(typed, current);
  return found.filter(({ word }) => word === files.word || word.startsWith(current));
}

/** A command as far as it has been typed. */
interface TypedCommand {
  readonly command: Command;
  /** Its names: `schedule create`. */
  readonly path: readonly string[];
  readonly given: readonly string[];
  /** The option whose value comes next. */
  readonly waiting: Option | undefined;
}

async function typedCommand(words: readonly string[]): Promise<TypedCommand | undefined> {
  const at = words.findIndex((word) => !word.startsWith('-') && word !== 'help');
  const entry = commandTable.find(({ name }) => name === words[at]);
  if (entry === undefined) return undefined;
  let command = await (await entry.load())(headOf(entry));
  const path = [entry.name];
  const given: string[] = [];
  let waiting: Option | undefined;
  for (const word of words.slice(at + 1)) {
    if (waiting !== undefined) {
      waiting = undefined;
      continue;
    }
    const option = command.options.find(({ short, long }) => word === short || word === long);
    const inner = command.commands.find((one) => one.name() === word);
    if (option?.required || option?.optional) waiting = option;
    else if (inner !== undefined && given.length === 0) {
      command = inner;
      path.push(word);
    } else if (!word.startsWith('-')) given.push(word);
  }
  return { command, path, given, waiting };
}

async function topLevel(): Promise<readonly Candidate[]> {
  const own = await ownCommands().catch(() => []);
  const listed = [...commandTable.filter(({ hidden }) => hidden !== true), ...own];
  return [
    ...listed.map(({ name, description }) => ({ word: name, told: description })),
    { word: 'help', told: 'show the help of a command' },
    { word: '--help', told: 'show all commands' },
    { word: '--version', told: 'show which release it is' },
  ];
}

async function nextWords(typed: TypedCommand, current: string): Promise<readonly Candidate[]> {
  const { command, given, waiting } = typed;
  if (waiting !== undefined) return valuesOf(waiting, typed, current);
  const [, name, value] = /^(--[\w-]+)=(.*)$/u.exec(current) ?? [];
  const assigned = command.options.find(({ long }) => long === name);
  if (name !== undefined && value !== undefined && assigned) {
    const values = await valuesOf(assigned, typed, value);
    return values.map((candidate) => ({ ...candidate, word: `${name}=${candidate.word}` }));
  }
  if (current.startsWith('-')) return optionsOf(command);
  if (command.commands.length > 0 && given.length === 0)
    return command.commands.map((inner) => ({ word: inner.name(), told: inner.description() }));
  const argument = command.registeredArguments[given.length];
  return argument === undefined ? optionsOf(command) : valuesOf(argument, typed, current);
}

function optionsOf({ options }: Command): Candidate[] {
  const help = { word: '--help', told: 'show the help of the command' };
  return [
    ...options.map((option) => ({ word: option.long ?? option.flags, told: option.description })),
    help,
  ];
}

async function valuesOf(
  place: Argument | Option,
  { path, given }: TypedCommand,
  current: string,
): Promise<readonly Candidate[]> {
  if (place.argChoices) return place.argChoices.map((word) => ({ word }));
  const isOption = 'flags' in place;
  const name = isOption ? place.attributeName() : place.name();
  if (isOption && name === 'param') return parameterCandidates(given[0] ?? '', current);
  if (name === 'job') return jobCandidates();
  if (!isOption && name === 'id') return (await import('./complete-ids.ts')).idCandidates(path, current);
  const takesFile = /file|directory|dir\b/u.test(isOption ? place.flags : name);
  return takesFile ? [files] : [];
}
