import { ToldError } from '../../contract/errors.ts';
import { type Cursor, cursorOf, nameOfKey } from '../../contract/cursor.ts';
import { type AnyChunkWork, chunks, type RefusedRow, SkipItem } from '../../job/chunks.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { type LogPlace, noteUnsettled, readLogPlace } from '../../ledger/log.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';

/** A row of a source as a skip names it: as the copy does. */
export function rowOf(tables: readonly FollowedTable[], source: string, key: Cursor): RefusedRow {
  const number = tables.findIndex((table) => table.source === source);
  return { key: `${source} ${nameOfKey(key)}`, cursor: cursorOf([String(number), ...key]) };
}

/**
 * Hands rows that were set aside to the stream, which reads them again at the place where it stands. Nobody else can: what a
 * redrive had read, the stream might have passed when it is written.
 */
export function readAgain(ledger: Ledger, describe: () => Promise<FollowedTables>): AnyChunkWork {
  return chunks<Cursor, Cursor>({
    reader: {
      plan: () => Promise.reject(new ToldError('rows that were set aside are asked for by their keys')),
      read: () => Promise.reject(new ToldError('rows that were set aside are asked for by their keys')),
      readKeys: async ({ keys }) => {
        const { stream, tables } = await describe();
        const isSame = isFollowedAs(await readLogPlace(ledger, stream), tables);
        const error = isSame ? null : new SkipItem('NOT_FOLLOWED', notFollowed);
        return keys.map((key) => (error ? { error } : { item: key }));
      },
    },
    processor: (key) => key,
    writer: {
      write: async (keys, transaction) => {
        const { stream, tables } = await describe();
        const rows = keys.map(([number, ...key]) => {
          const { source } = tables[Number(number)] as FollowedTable;
          return { source, key: cursorOf(key), code: null };
        });
        await noteUnsettled(transaction, stream, rows);
      },
    },
  });
}

/** Whether a stream is copied, with these tables: among others, the number of a table says nothing. */
export function isFollowedAs(place: LogPlace | null, tables: readonly FollowedTable[]): boolean {
  const { state } = place ?? {};
  return state?.copied === true && tables.every(({ source }, number) => state.tables[number] === source);
}

/** Why a row cannot be handed to its stream. */
export const notFollowed =
  'its stream is not followed any more, or copied otherwise: the next run copies the row with all others';
