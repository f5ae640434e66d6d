import { sql } from 'kysely';
import { type Cursor, encodeCursor } from '../contract/cursor.ts';
import { cutText, failure } from '../contract/errors.ts';
import type { SkipPolicy } from '../contract/policy.ts';
import { ledgerSql } from './schema.ts';
import { storableJson, storableText } from '../stores/postgres/storable-text.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { PartitionKey } from './checkpoint.ts';
import { itemKeyOf } from './item-key.ts';
import { type NotedSkip, skipBooksOf } from './skip-books.ts';
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

/** What a step says about its skips. */
export interface SkipTerms {
  readonly rate?: SkipPolicy['rate'] | undefined;
  /** What is kept of an item. @default nothing */
  readonly keepItem?: ((item: unknown) => unknown) | undefined;
  /** How far their reader says that its source had come. @default nobody knows */
  readonly readUpTo?: string | null | undefined;
}

/**
 * Records the skips of a chunk in its transaction, and counts them against the step's limit.
 *
 * The limit is one row that all partitions update, so that exactly as many skips as allowed ever commit.
 *
 * @throws SkipLimitExceeded; the chunk then rolls back as a whole.
 */
export async function recordSkips(
  transaction: Transaction,
  key: PartitionKey,
  skips: readonly Skip[],
  { rate, keepItem, readUpTo }: SkipTerms = {},
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
  const noted = skips.map((skip) => ({ ...notedSkip(skip, keepItem), read_up_to: readUpTo ?? null }));
  await skipBooksOf(key.claim).note(transaction, key, noted);
}

/** @param keep what is kept of its item; nothing unless given. */
function notedSkip(skip: Skip, keep?: (item: unknown) => unknown): Omit<NotedSkip, 'read_up_to'> {
  return {
    item_key: itemKeyOf(skip.key),
    phase: skip.phase,
    code: storableText(skip.code),
    fingerprint: storableText(fingerprint(skip)),
    message: storableText(cutText(skip.message, longestMessage)),
    attempts: skip.attempts,
    cursor: encodeCursor(skip.cursor),
    item: keep ? keptOf(skip.item, keep) : null,
  };
}

/**
 * Opens the skip again that an item has in this execution already, with the reason of this time. It is counted once.
 *
 * @returns false where it has none.
 */
export async function reopenSkip(
  transaction: Transaction,
  { claim, step }: PartitionKey,
  skip: Skip,
): Promise<boolean> {
  const { item_key, phase, code, fingerprint: cause, message } = notedSkip(skip);
  const reopened = await transaction.run(
    ledgerSql
      .updateTable('keystride.skip')
      .set({ status: 'open', code, fingerprint: cause, message, attempts: sql<number>`attempts + 1` })
      .set({ settled_at: null, settled_by: null, reason: null })
      .where('instance_key', '=', claim.instance)
      .where('step', '=', step)
      .where('item_key', '=', item_key)
      .where('phase', '=', phase)
      .returning('item_key'),
  );
  return reopened.length > 0;
}

/** What is kept of an item, in characters of JSON: a skip is a note, and there may be a million of them. */
const largestItem = 8 * 1024;

/** What is kept is not worth a failure: where it cannot be, that stands in its place. */
function keptOf(item: unknown, keep: (item: unknown) => unknown): unknown {
  try {
    const json = storableJson(keep(item) ?? null);
    if (json.length <= largestItem) return JSON.parse(json);
    return `not kept: ${json.length} characters, more than ${largestItem}`;
  } catch {
    return 'not kept: keepItem has failed';
  }
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
