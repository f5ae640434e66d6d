import { sql } from 'kysely';
import { type Cursor, encodeCursor } from '../contract/cursor.ts';
import { cutText, failure } from '../contract/errors.ts';
import type { SkipPolicy } from '../contract/policy.ts';
import { ledgerSql } from './schema.ts';
import { storableText } from '../stores/postgres/storable-text.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { PartitionKey } from './checkpoint.ts';
import { keepRedrivenOpen } from './redriven-skips.ts';
import { keystride, shellWord } from '../contract/shell.ts';

/** An item set aside. */
export interface Skip<Item = unknown> {
  readonly item: Item;
  /** What names it to people. */
  readonly key: string;
  /** Its place in its reader's key order: how it is found again. */
  readonly cursor: Cursor;
  readonly phase: 'read' | 'process' | 'write';
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

/** Skip messages are for people; a hostile or huge one must not fill the ledger. */
const longestMessage = 1000;

/**
 * Records the skips of a chunk in its transaction, and counts them against the step's limit. Those of a redrive have
 * their rows already, which stay open.
 *
 * The limit is one row that all partitions update, so that exactly as many skips as allowed ever commit.
 *
 * @throws SkipLimitExceeded; the chunk then rolls back as a whole.
 */
export async function recordSkips(
  transaction: Transaction,
  key: PartitionKey,
  skips: readonly Skip[],
  rate?: SkipPolicy['rate'],
): Promise<void> {
  const { instance } = key.claim;
  const counted = await transaction.run(
    ledgerSql
      .updateTable('keystride.step')
      .set({ skipped: sql<string>`skipped + ${skips.length}` })
      .where('instance_key', '=', instance)
      .where('step', '=', key.step)
      .where(sql<boolean>`skipped + ${skips.length} <= skip_limit`)
      .returning('skipped'),
  );
  if (counted.length === 0) throw await limitExceeded(transaction, key, skips);
  if (rate) await refuseAbove(rate, transaction, key, Number(counted[0]?.skipped));
  const rows = skips.map((skip) => ({
    item_key: storableText(skip.key),
    phase: skip.phase,
    code: storableText(skip.code),
    fingerprint: storableText(fingerprint(skip)),
    message: storableText(cutText(skip.message, longestMessage)),
    attempts: skip.attempts,
  }));
  if (key.claim.redrives) return keepRedrivenOpen(transaction, key, rows);
  const recorded = rows.map((row, index) => ({
    ...row,
    cursor: encodeCursor((skips[index] as Skip).cursor),
  }));
  const names = await insertSkips(transaction, key, recorded);
  const again = recorded.filter((row) => !names.delete(nameOf(row)));
  // An API gives the same item on two pages, and each is a skip: told apart by where it was read.
  if (again.length > 0)
    await insertSkips(
      transaction,
      key,
      again.map((row) => ({ ...row, item_key: `${row.item_key} at ${row.cursor}` })),
    );
}

interface SkipRow {
  readonly item_key: string;
  readonly phase: string;
}

function nameOf({ item_key, phase }: SkipRow): string {
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
  rows: readonly SkipRow[],
): Promise<Set<string>> {
  const inserted = await transaction.query<{ item_key: string; phase: string }>(
    `INSERT INTO keystride.skip
            (instance_key, step, partition, item_key, phase, code, fingerprint, message, attempts, cursor)
     SELECT $1, $2, $3, item_key, phase, code, fingerprint, message, attempts, cursor
       FROM jsonb_to_recordset($4::jsonb)
            AS set_aside (item_key text, phase text, code text, fingerprint text, message text, attempts int, cursor text)
         ON CONFLICT DO NOTHING
     RETURNING item_key, phase`,
    [claim.instance, step, partition, JSON.stringify(rows)],
  );
  return new Set(inserted.rows.map(nameOf));
}

/** The row of the step is locked by the count above, so no other partition's skips come in between. */
async function refuseAbove(
  { share, afterItems }: NonNullable<SkipPolicy['rate']>,
  transaction: Transaction,
  key: PartitionKey,
  skipped: number,
): Promise<void> {
  const [sum] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.checkpoint')
      .select(sql<string>`sum(read + read_skipped)`.as('reached'))
      .where('instance_key', '=', key.claim.instance)
      .where('step', '=', key.step),
  );
  const reached = Number(sum?.reached ?? 0);
  if (reached < afterItems || skipped <= share * reached) return;
  throw failure(
    'SkipLimitExceeded',
    `${key.claim.instance} step ${key.step}: ${skipped} of ${reached} items are to be skipped, more than the ` +
      `${share * 100} % that are allowed. This chunk did not commit.`,
  );
}

/** The cause of a skip without its particulars: quoted words, ids and numbers give way to a sign. */
export function fingerprint({ code, message }: Pick<Skip, 'code' | 'message'>): string {
  const normalised = message
    .slice(0, longestMessage)
    .replaceAll(/"[^"]*"|'[^']*'/gu, '…')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/giu, '…')
    .replaceAll(/\S*\d\S*/gu, '#');
  return `${code}: ${normalised}`.slice(0, 200);
}

async function limitExceeded(transaction: Transaction, key: PartitionKey, skips: readonly Skip[]) {
  const [step] = await transaction.run(
    ledgerSql
      .selectFrom('keystride.step')
      .select(['skipped', 'skip_limit'])
      .where('instance_key', '=', key.claim.instance)
      .where('step', '=', key.step),
  );
  const [first] = skips;
  return failure(
    'SkipLimitExceeded',
    `${key.claim.instance} step ${key.step}: ${step?.skipped ?? '?'} items are skipped and ${skips.length} more would ` +
      `exceed the limit of ${step?.skip_limit ?? '?'}. This chunk did not commit. ` +
      `First of them: key ${first?.key}, ${first?.code}. See: ${keystride} skips ${shellWord(key.claim.instance)} list`,
  );
}
