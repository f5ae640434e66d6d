import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A guide, with the commands that it tells its reader to run. */
export interface Guide {
  readonly file: string;
  readonly commands: readonly GuideCommand[];
}

/** One command of a guide. */
export interface GuideCommand {
  /** As a shell takes it, without the prompt. */
  readonly text: string;
  /** Where it stands, from 1. */
  readonly line: number;
  /** What the guide says that it ends with. */
  readonly exitCode: number;
}

const directory = path.join(import.meta.dirname, '../../docs/guides');

/** Every guide of `docs/guides`, in the order of their names. */
export function readGuides(): Guide[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.md'))
    .toSorted()
    .map((file) => ({ file, commands: commandsOf(readFileSync(path.join(directory, file), 'utf8')) }));
}

/**
 * The commands of a guide: in its `sh` blocks the lines that begin with `$ keystride`. A `\` at the end of a line goes
 * on with the next one; `# exits with N` at the end says that another exit code than 0 is right. What else such a block
 * holds is what a command prints, and is not compared. A block without `$` is not run: it is for the reader's machine.
 *
 * @throws Error for a `$` line with another command: the guide would promise what nobody has tried
 */
export function commandsOf(markdown: string): GuideCommand[] {
  const lines = markdown.split('\n');
  const commands: GuideCommand[] = [];
  let fence: string | undefined;
  for (let index = 0; index < lines.length; index++) {
    const text = lines[index] ?? '';
    if (text.startsWith('```')) fence = fence === undefined ? text.slice(3).trim() : undefined;
    else if (fence === 'sh' && text.startsWith('$ ')) {
      const line = index + 1;
      let whole = text.slice(2);
      while (whole.endsWith('\\')) whole = `${whole.slice(0, -1)}${(lines[++index] ?? '').trimStart()}`;
      commands.push(commandOf(whole, line));
    }
  }
  return commands;
}

function commandOf(whole: string, line: number): GuideCommand {
  const [, text = '', exitCode = '0'] = /^(.*?)(?:\s+# exits with (\d+))?$/.exec(whole) ?? [];
  if (!/^keystride\s/.test(text)) throw new Error(`line ${line}: only keystride is run here, not: ${text}`);
  return { text, line, exitCode: Number(exitCode) };
}
