import { shellWord } from '../../contract/shell.ts';
import { keystride } from '../../operator/called-as.ts';
import { duration, plain, table } from '../../operator/format.ts';
import {
  behindText,
  followedText,
  leftText,
  readSyncs,
  secondsSince,
  type SyncLag,
} from '../../operator/syncs/lag.ts';
import type { OutputOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

/** `keystride sync list`: the streams of all syncs, and how far behind they are. */
export async function listStreams({ output }: OutputOptions): Promise<void> {
  const syncs = await readSyncs();
  if (output === 'json') return printJson(syncs);
  show(syncs);
}

function show({ streams, oldestTransaction: oldest, slotsLeft }: SyncLag): void {
  for (const slot of slotsLeft) printLine(plain(leftText(slot), 400));
  if (streams.length === 0) return printLine('no sync has run yet');
  const rows = streams.map(({ stream, cursor, movedAt, lag }) => [
    plain(stream),
    cursor ? plain(cursor.join(', ')) : 'none',
    behindText(lag),
    `${duration((lag?.secondsSinceMoved ?? secondsSince(movedAt)) * 1000)} ago`,
  ]);
  for (const line of table(['stream', 'offset', 'behind', 'moved'], rows)) printLine(line);
  for (const one of streams) {
    const { stream, slot, problem, told } = one;
    if (slot !== null) printLine(`${plain(stream)}: ${plain(followedText(one), 400)}`);
    for (const line of told) printLine(`${plain(stream)}, its last run: ${plain(line, 400)}`);
    if (problem === null) continue;
    printLine(`${plain(stream)}: ${plain(problem, 400)}`);
    printLine(`  to do: put it right, or forget the stream: ${keystride} sync forget ${shellWord(stream)}`);
  }
  if (oldest && oldest.seconds >= 5)
    printLine(
      `a transaction of the source has been open for ${duration(oldest.seconds * 1000)} ` +
        `(process ${oldest.processId}${oldest.application ? `, ${plain(oldest.application)}` : ''}): ` +
        'its rows are copied by the first run after its end',
    );
}
