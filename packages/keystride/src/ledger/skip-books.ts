import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import type { Cursor } from '../contract/cursor.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { PartitionKey } from './checkpoint.ts';
import { itemKeyOf } from './item-key.ts';
import { closeRedriven, countLeftOpen, keepRedrivenOpen } from './redriven-skips.ts';
import { ledgerSql } from './schema.ts';

/** A skip as its row has it. */
export interface NotedSkip {
  readonly item_key: string;
  readonly phase: string;
  readonly code: string;
  readonly fingerprint: string;
  readonly message: string;
  readonly attempts: number;
  readonly cursor: string | null;
  /** How far its reader's source had come; null where nobody knows. */
  readonly read_up_to: string | null;
  /** What is kept of it, as JSON. */
  readonly item: unknown;
}

/** A chunk's items by their places, and those of them that it sets aside. */
export interface SettledChunk {
  readonly first: Cursor | null;
  readonly cursor: Cursor | null;
  readonly skips: readonly { readonly key: string }[];
}

/**
 * How an execution keeps its skips. A job makes a row of each; a redrive has taken rows of an earlier execution, which
 * it closes or leaves open.
 */
export interface SkipBooks {
  /** Notes what a chunk sets aside, in its transaction. @throws Fenced where it is not this execution's any more. */
  note(transaction: Transaction, key: PartitionKey, skips: readonly NotedSkip[]): Promise<void>;
  /** Closes what a chunk settles, in its transaction. @throws Fenced where it is not this execution's any more. */
  settle(transaction: Transaction, key: PartitionKey, chunk: SettledChunk): Promise<void>;
  /** How many skips of a step have their row. */
  count(transaction: Transaction, step: Pick<PartitionKey, 'claim' | 'step'>): Promise<number>;
}

/** The books of an execution, by its claim. */
export function skipBooksOf({ redrives }: Claim): SkipBooks {
  return redrives ? booksOfRedrive : booksOfJob;
}

const booksOfRedrive: SkipBooks = {
  note: keepRedrivenOpen,
  settle: closeRedriven,
  count: countLeftOpen,
};

const booksOfJob: SkipBooks = {
  note: async (transaction, key, skips) => {
    const names = await insertSkips(transaction, key, skips);
    const again = skips.filter((skip) => !names.delete(nameOf(skip)));
    // An API gives the same item on two pages, and each is a skip: told apart by where it was read.
    if (again.length > 0)
      await insertSkips(
        transaction,
        key,
        again.map((skip) => ({ ...skip, item_key: itemKeyOf(`${skip.item_key} at ${skip.cursor}`) })),
      );
  },
  settle: () => Promise.resolve(),
  count: async (transaction, { claim, step }) => {
    const [row] = await transaction.run(
      ledgerSql
        .selectFrom('keystride.skip')
        .select(sql<string>`count(*)`.as('rows'))
        .where('instance_key', '=', claim.instance)
        .where('step', '=', step),
    );
    return Number(row?.rows ?? 0);
  },
};

function nameOf({ item_key, phase }: Pick<NotedSkip, 'item_key' | 'phase'>): string {
  return `${phase} ${item_key}`;
}

/**
 * Inserts what has no row yet. One parameter for all of them: a chunk that is skipped as a whole would exceed the
 * 65,535 of a statement.
 *
 * @returns the names of those that were inserted.
 */
async function insertSkips(
  transaction: Transaction,
  { claim, step, partition }: PartitionKey,
  skips: readonly NotedSkip[],
): Promise<Set<string>> {
  const inserted = await transaction.query<{ item_key: string; phase: string }>(
    `INSERT INTO keystride.skip
            (instance_key, step, partition, item_key, phase, code, fingerprint, message, attempts, cursor, read_up_to, item)
     SELECT $1, $2, $3, item_key, phase, code, fingerprint, message, attempts, cursor, read_up_to, item
       FROM jsonb_to_recordset($4::jsonb)
            AS set_aside (item_key text, phase text, code text, fingerprint text, message text, attempts int, cursor text,
                          read_up_to text, item jsonb)
         ON CONFLICT DO NOTHING
     RETURNING item_key, phase`,
    [claim.instance, step, partition, JSON.stringify(skips)],
  );
  return new Set(inserted.rows.map(nameOf));
}
