import type { Cursor } from '../../contract/cursor.ts';
import { commandAuthor } from '../../operator/author.ts';
import { plain } from '../../operator/format.ts';
import { rewindStream as rewind } from '../../operator/syncs/rewind.ts';
import type { AuthorOptions } from '../author.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

interface Rewind extends OutputOptions, AuthorOptions {
  /** The first key to copy again, its first columns at least; empty for the start. */
  readonly from: readonly string[];
}

/** `keystride sync rewind STREAM`: a run in flight does not move the offset after that. */
export async function rewindStream(name: string, { from, output, ...author }: Rewind): Promise<void> {
  const { before, cursor } = await rewind(name, from, commandAuthor(author));
  if (output === 'json') return printJson({ stream: name, before, cursor });
  printLine(`${plain(name)}: the next run copies ${told(cursor)}`);
}

function told(cursor: Cursor | null): string {
  return cursor ? `what is above ${plain(cursor.join(', '))}` : 'everything';
}
