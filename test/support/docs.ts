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
