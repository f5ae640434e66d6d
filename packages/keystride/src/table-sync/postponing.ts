import pg from 'pg';
import { type Cursor, cursorOf, nameOfKey } from '../contract/cursor.ts';
import type { Reader } from '../contract/reader.ts';
import type { StepContext } from '../job/chunks.ts';
import { safeMessage } from '../page/item-errors.ts';
import { notePostponed, type Postponed, settlePostponed, takePostponed } from '../ledger/postponed.ts';
import type { Skip } from '../ledger/skips.ts';
import { keyAlias } from '../stores/postgres/key-columns.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { lackingParents, type References } from './references.ts';
import type { Sink } from './sink.ts';
import type { SyncRow } from './sync-row.ts';

/** Where rows of a table that may refer to itself go. */
export interface PostponingSink {
  readonly sink: Sink;
  readonly references: References;
  /** The columns that rows are read in the order of. */
  readonly order: readonly string[];
}

/** SQLSTATE of a row that refers to one which is not there. */
const foreignKeyViolation = '23503';

/** Rows that are written again by one statement. */
const batchSize = 1_000;

/**
 * Writes rows in the transaction of their chunk. Those that refer to a row of the same table which is to come are noted
 * for the end of the step.
 *
 * @returns how many it has written; the noted ones are among the others.
 */
export async function writePostponing(
  { sink, references, order }: PostponingSink,
  rows: readonly SyncRow[],
  transaction: Transaction,
  place: { readonly instance: string; readonly step: string },
): Promise<number | void> {
  if (references.deferrable) await transaction.query('SET CONSTRAINTS ALL IMMEDIATE');
  if (references.toItself.length === 0) return sink.write(rows, transaction);
  const result = await writeOrFindLacking(sink, references, rows, transaction);
  if (!('lacking' in result)) return result.written;
  const { lacking, error } = result;
  const later = rows.filter((_, index) => lacking.has(index)).map((row) => cursorIn(row, order));
  if (lacking.size === 0 || !(await notePostponed(transaction, place, later))) throw error;
  return writeAll(
    sink,
    rows.filter((_, index) => !lacking.has(index)),
    transaction,
  );
}

type Written =
  { readonly written: number | void } | { readonly lacking: ReadonlySet<number>; readonly error: unknown };

async function writeOrFindLacking(
  sink: Sink,
  references: References,
  rows: readonly SyncRow[],
  transaction: Transaction,
): Promise<Written> {
  await transaction.query('SAVEPOINT keystride_postponing');
  try {
    const written = await sink.write(rows, transaction);
    await transaction.query('RELEASE SAVEPOINT keystride_postponing');
    return { written };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== foreignKeyViolation) throw error;
    await transaction.query('ROLLBACK TO SAVEPOINT keystride_postponing');
    return { lacking: await lackingParents(references, rows, transaction), error };
  }
}

async function writeAll(sink: Sink, rows: readonly SyncRow[], transaction: Transaction): Promise<number> {
  return rows.length === 0 ? 0 : ((await sink.write(rows, transaction)) ?? rows.length);
}

/** The reader puts the texts of its order beside the columns of each row. */
function cursorIn(row: SyncRow, order: readonly string[]): Cursor {
  return cursorOf(order.map((_, index) => row[keyAlias(index)] ?? ''));
}

/**
 * Writes what a step has postponed, in the transaction that completes it: again and again, from one end and from the
 * other, as long as more of it can be written. What is left then refers to nothing that there is, and is skipped.
 *
 * @throws SkipLimitExceeded; then the step does not complete, and nothing of this has happened.
 */
export async function writePostponed(
  to: PostponingSink,
  reader: Pick<Reader<SyncRow>, 'position' | 'readKeys'>,
  transaction: Transaction,
  { instance, epoch, step }: Pick<StepContext, 'instance' | 'epoch'> & { readonly step: string },
): Promise<void> {
  let left = await takePostponed(transaction, { instance, step });
  if (left.length === 0) return;
  const books = new Books();
  if (to.references.deferrable) await transaction.query('SET CONSTRAINTS ALL IMMEDIATE');
  for (let before = Infinity; left.length > 0 && left.length < before;) {
    before = left.length;
    left = await writeRound(to, reader, left.toReversed(), transaction, books);
  }
  await writeEach(to, reader, left, transaction, books);
  const claim = { job: '', instance, epoch };
  const readUpTo = await reader.position?.();
  for (const [partition, settled] of books.partitions)
    await settlePostponed(transaction, { claim, step, partition }, { ...settled, readUpTo });
}

class Books {
  readonly partitions = new Map<number, { written: number; skips: Skip[] }>();

  of({ partition }: Postponed) {
    const found = this.partitions.get(partition) ?? { written: 0, skips: [] };
    this.partitions.set(partition, found);
    return found;
  }
}

/** @returns what is left. */
async function writeRound(
  { sink, references }: PostponingSink,
  reader: Pick<Reader<SyncRow>, 'readKeys'>,
  postponed: readonly Postponed[],
  transaction: Transaction,
  books: Books,
): Promise<Postponed[]> {
  const left: Postponed[] = [];
  for (let from = 0; from < postponed.length; from += batchSize) {
    const there = await readAgain(reader, postponed.slice(from, from + batchSize));
    const rows = there.map(({ row }) => row);
    const lacking = await lackingParents(references, rows, transaction);
    const ready = there.filter((_, index) => !lacking.has(index));
    left.push(...there.filter((_, index) => lacking.has(index)).map(({ of }) => of));
    const result = await writeOrFindLacking(
      sink,
      references,
      ready.map(({ row }) => row),
      transaction,
    );
    // Refused for another table's sake, or for a reference that the texts do not tell: one by one in the end.
    if ('lacking' in result) left.push(...ready.map(({ of }) => of));
    else for (const { of } of ready.slice(0, result.written ?? ready.length)) books.of(of).written++;
  }
  return left;
}

async function writeEach(
  { sink, references }: PostponingSink,
  reader: Pick<Reader<SyncRow>, 'readKeys'>,
  left: readonly Postponed[],
  transaction: Transaction,
  books: Books,
): Promise<void> {
  for (let from = 0; from < left.length; from += batchSize) {
    for (const { row, of } of await readAgain(reader, left.slice(from, from + batchSize))) {
      const result = await writeOrFindLacking(sink, references, [row], transaction);
      if ('lacking' in result) books.of(of).skips.push(skipOf(row, of, result.error));
      else books.of(of).written += result.written ?? 1;
    }
  }
}

function skipOf(item: SyncRow, { cursor }: Postponed, error: unknown): Skip {
  const code = `SQLSTATE_${foreignKeyViolation}`;
  return {
    item,
    key: nameOfKey(cursor),
    cursor,
    phase: 'write',
    code,
    message: safeMessage(error),
    attempts: 2,
  };
}

/** The rows as they are now; one that is gone, or has moved on in the order, stays filtered: the next run has it. */
async function readAgain(
  reader: Pick<Reader<SyncRow>, 'readKeys'>,
  postponed: readonly Postponed[],
): Promise<{ readonly row: SyncRow; readonly of: Postponed }[]> {
  const keys = postponed.map(({ cursor }) => cursor);
  const found = (await reader.readKeys?.({ keys, signal: new AbortController().signal })) ?? [];
  return postponed.flatMap((of, index) => {
    const read = found[index];
    return read && 'item' in read ? [{ row: read.item, of }] : [];
  });
}
