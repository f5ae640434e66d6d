import { forgetStream as forget, runningOnStream, type Stream } from '../../ledger/streams.ts';
import { authorOf, type AuthorOptions } from '../author.ts';
import { withSession } from '../connection.ts';
import { plain } from '../format.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';
import { firstAlive, stillRunning, withLedger } from '../skips-ledger.ts';
import { readStream } from './streams.ts';

/**
 * `keystride sync forget STREAM`: takes its offset out of the ledger. Neither the source nor the sink is touched, and the
 * source need not be there. A run that is in flight all the same does not bring the offset back.
 *
 * @throws CommandError while a run of it is going on, or a sync that polls it.
 */
export async function forgetStream(
  name: string,
  { output, ...author }: OutputOptions & AuthorOptions,
): Promise<void> {
  const { stream, running } = await withLedger(async (ledger) => ({
    stream: await readStream(ledger, name),
    running: await runningOnStream(ledger, name),
  }));
  if (running.length > 0) {
    const alive = await withSession(({ client }) => firstAlive(client, running));
    if (alive) throw stillRunning(alive);
  }
  await withLedger((ledger) => forget(ledger, name, authorOf(author)));
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
