import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');

/** A page for readers. */
export interface Page {
  /** As seen from the root: `docs/readers.md`. */
  readonly file: string;
  readonly text: string;
}

/** A block of a page: code to read, a file to write, or commands. */
export interface Block {
  readonly language: string;
  /** The file that it is, where it says so: ```` ```ts src/worker.ts ````. */
  readonly file: string | undefined;
  readonly text: string;
  /** Of its first line, from 1. */
  readonly line: number;
  /** What the compiler has to know besides, from the comment `<!-- with … -->` before it. A reader is not shown it. */
  readonly preamble: string;
}

/** Every page that somebody who uses the library, or works on it, is told to read. */
export function readPages(): Page[] {
  const names = ['README.md', 'CONTRIBUTING.md', 'packages/keystride/README.md', 'docs/**/*.md'];
  return names
    .flatMap((name) => globSync(name, { cwd: root }).toSorted())
    .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }));
}

/** The blocks of a page, in their order. */
export function blocksOf(markdown: string): Block[] {
  const blocks = /(?:^<!-- with\n(.*?)-->\n\n?)?^```(\w+)(?: (\S+))?\n(.*?)^```$/gmsu;
  return Array.from(markdown.matchAll(blocks), (found) => {
    const [whole, preamble = '', language = '', file, text = ''] = found;
    const begin = found.index + whole.length - '```'.length - text.length;
    return { language, file, text, line: markdown.slice(0, begin).split('\n').length, preamble };
  });
}

/** A command that a page names. */
export interface CommandLine {
  /** The program first, without `npx` and settings before it. */
  readonly words: readonly string[];
  /** Of the page, from 1. */
  readonly line: number;
  /** It stands in a block, to be run as it is; a sentence may leave out what the command needs. */
  readonly whole: boolean;
}

/** The commands of a page: those of its `sh` blocks, and those that its sentences have in code. */
export function commandLinesOf(markdown: string): CommandLine[] {
  const lines = markdown.split('\n');
  const found: CommandLine[] = [];
  let fence: string | undefined;
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    let text = lines[index] ?? '';
    if (text.startsWith('```')) fence = fence === undefined ? text.slice(3).split(' ')[0] : undefined;
    else if (fence === 'sh') {
      while (text.endsWith('\\')) text = `${text.slice(0, -1)} ${(lines[++index] ?? '').trim()}`;
      found.push(...commandsOfLine(text.replace(/^\$ /u, '')).map((words) => ({ words, line, whole: true })));
    } else if (fence === undefined)
      for (const [, code = ''] of text.matchAll(/`([^`]+)`/gu))
        found.push(...commandsOfLine(filledIn(code)).map((words) => ({ words, line, whole: false })));
  }
  return found;
}

/** With something in the place of what a sentence leaves open: `[--watch]`, `--concurrency N`, `…`. */
function filledIn(code: string): string {
  return code.replaceAll(/[[\]]/gu, '').replaceAll(/\bN\b/gu, '1').replaceAll('…', '');
}

/** The commands of a line of a shell, as words: quotes are taken off, a comment is left out. */
function commandsOfLine(text: string): string[][] {
  const parts = text.match(/\$\([^)]*\)|"[^"]*"|'[^']*'|&&|[|;&>]|#.*$|[^\s"'|;&>]+|\s+/gu) ?? [];
  const commands: string[][] = [[]];
  let joins = false;
  for (const part of parts) {
    const command = commands.at(-1) ?? [];
    if (/^(?:&&|[|;&>])$/u.test(part)) commands.push([]);
    else if (part.startsWith('#') && !joins) break;
    else if (part.trim() !== '') {
      const word = part.replace(/^(["'])(.*)\1$/u, '$2');
      if (joins) command.push(`${command.pop() ?? ''}${word}`);
      else command.push(word);
    }
    joins = part.trim() !== '' && !/^(?:&&|[|;&>])$/u.test(part);
  }
  return commands.map(withoutWrapping).filter(([program]) => /^(?:keystride|npm|node)$/u.test(program ?? ''));
}

/** Without settings, `env` and `npx` before the program. */
function withoutWrapping(words: readonly string[]): string[] {
  const first = words.findIndex((word) => !/^(?:\w+=.*|env|-[iu]|npx|docker|compose)$/su.test(word));
  return first < 0 ? [] : words.slice(first);
}
