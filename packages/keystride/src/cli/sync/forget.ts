import type { Stream } from '../../ledger/streams.ts';
import { commandAuthor } from '../../operator/author.ts';
import { plain } from '../../operator/format.ts';
import { forgetStream as forget } from '../../operator/syncs/forget.ts';
import type { AuthorOptions } from '../author.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

/** `keystride sync forget STREAM`: takes its offset out of the ledger. */
export async function forgetStream(
  name: string,
  { output, ...author }: OutputOptions & AuthorOptions,
): Promise<void> {
  const stream = await forget(name, commandAuthor(author));
  if (output === 'json') return printJson({ stream: name, forgotten: forgottenOf(stream) });
  const at = stream.cursor ? `at ${plain(stream.cursor.join(', '))}` : 'without an offset';
  printLine(`${plain(name)}: forgotten, ${at} in ${plain(stream.table)}`);
  printLine(
    '  A run of it would copy everything again. The rows in the sink, its runs and their skips stay.',
  );
}

function forgottenOf({ cursor, table, key, movedAt }: Stream) {
  return { cursor, table, key, movedAt };
}
