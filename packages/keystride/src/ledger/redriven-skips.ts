import { sql } from 'kysely';
import type { Claim } from '../contract/claim.ts';
import { type Cursor, cursorOf, decodeCursor } from '../contract/cursor.ts';
import { failure } from '../contract/errors.ts';
import type { ReadRequest } from '../contract/reader.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Ledger } from './ledger.ts';

/**
 * The skips that a redrive has taken. They are numbered when it begins, from 0 in each step: a place in that order is
 * what its checkpoints move along, so that it knows exactly which items it is to run, however the rows change.
 */

/** A skipped item as a redrive finds it. */
export interface TakenSkip {
  readonly key: string;
  /** In the order of the redrive. */
  readonly place: number;
  /** In the key order of the item's reader. */
  readonly cursor: Cursor;
  /** How far its reader's source had come when it was skipped; null where nobody has noted it. */
  readonly readUpTo: string | null;
}

/** A step of a redrive's own execution. */
interface RedriveStep {
  readonly claim: Claim;
  readonly step: string;
}

/** What becomes known of an item that has failed again. */
interface FailedAgain {
  readonly item_key: string;
  readonly phase: string;
  readonly code: string;
  readonly fingerprint: string;
  readonly message: string;
  readonly attempts: number;
  readonly read_up_to: string | null;
}

/** How many skips a redrive has taken, by step. */
export async function countTaken(ledger: Ledger, claim: Claim): Promise<ReadonlyMap<string, number>> {
  const query = taken(claim)
    .select(['step', sql<string>`count(*)`.as('items')])
    .groupBy('step');
  const rows = await ledger.run(query);
  return new Map(rows.map(({ step, items }) => [step, Number(items)]));
}

/** The next skips of a range of places, in their order. */
export async function readTaken(
  ledger: Ledger,
  { claim, step }: RedriveStep,
  { range, after, limit }: Pick<ReadRequest, 'range' | 'after' | 'limit'>,
): Promise<TakenSkip[]> {
  let query = taken(claim)
    .select(['item_key', 'cursor', 'place', 'read_up_to'])
    .where('step', '=', step)
    .where('place', '>', placeOf(after ?? range.lower) ?? -1);
  const last = placeOf(range.upper);
  if (last !== undefined) query = query.where('place', '<=', last);
  const rows = await ledger.run(query.orderBy('place').limit(limit));
  return rows.map(({ item_key, cursor, place, read_up_to }) => ({
    key: item_key,
    place: Number(place),
    cursor: decodeCursor(cursor) ?? cursorOf([item_key]),
    readUpTo: read_up_to,
  }));
}

/** How many items of a step a redrive has left open: those that failed again. */
export async function countLeftOpen(transaction: Transaction, { claim, step }: RedriveStep): Promise<number> {
  const [row] = await transaction.run(
    taken(claim)
      .select(sql<string>`count(*)`.as('items'))
      .where('step', '=', step)
      .where('status', '=', 'open'),
  );
  return Number(row?.items ?? 0);
}

/**
 * Closes the skips of a chunk's items, but for those that it sets aside again, in the chunk's transaction.
 *
 * @throws Fenced when one of them is no longer this redrive's to close: then nothing of the chunk commits.
 */
export async function closeRedriven(
  transaction: Transaction,
  { claim, step }: RedriveStep,
  chunk: { first: Cursor | null; cursor: Cursor | null; skips: readonly { readonly key: string }[] },
): Promise<void> {
  const [first, last] = [placeOf(chunk.first), placeOf(chunk.cursor)];
  if (!claim.redrives || first === undefined || last === undefined) return;
  const { rowCount } = await transaction.query(
    `UPDATE keystride.skip SET status = 'redriven', settled_at = now(), settled_by = redrive
      WHERE instance_key = $1 AND step = $2 AND redrive = $3 AND status = 'open'
        AND place BETWEEN $4 AND $5 AND item_key <> ALL ($6::text[])`,
    [claim.redrives.instance, step, claim.instance, first, last, chunk.skips.map(({ key }) => key)],
  );
  refuseUnlessAll({ claim, step }, rowCount, last - first + 1 - chunk.skips.length);
}

/**
 * Notes how items failed this time; their skips stay open.
 *
 * @throws Fenced when one of them is no longer this redrive's.
 */
export async function keepRedrivenOpen(
  transaction: Transaction,
  { claim, step }: RedriveStep,
  rows: readonly FailedAgain[],
): Promise<void> {
  const { rowCount } = await transaction.query(
    `UPDATE keystride.skip AS skip
        SET phase = again.phase, code = again.code, fingerprint = again.fingerprint, message = again.message,
            attempts = skip.attempts + again.attempts, read_up_to = again.read_up_to
       FROM jsonb_to_recordset($4::jsonb)
            AS again (item_key text, phase text, code text, fingerprint text, message text, attempts int,
                  read_up_to text)
      WHERE skip.instance_key = $1 AND skip.step = $2 AND skip.redrive = $3 AND skip.status = 'open'
        AND skip.item_key = again.item_key`,
    [claim.redrives?.instance, step, claim.instance, JSON.stringify(rows)],
  );
  refuseUnlessAll({ claim, step }, rowCount, rows.length);
}

/** A later redrive has taken what this one, thought dead, has in hand; or somebody has waived it meanwhile. */
function refuseUnlessAll({ claim, step }: RedriveStep, found: number | null, wanted: number): void {
  if (found === wanted) return;
  throw failure(
    'Fenced',
    `${claim.instance} step ${step}: ${wanted - Number(found)} of ${wanted} skipped items have been waived, or taken by ` +
      'a later redrive. This chunk did not commit.',
  );
}

function taken({ instance, redrives }: Claim) {
  return ledgerSql
    .selectFrom('keystride.skip')
    .where('instance_key', '=', redrives?.instance ?? '')
    .where('redrive', '=', instance);
}

function placeOf(cursor: Cursor | null): number | undefined {
  return cursor === null ? undefined : Number(cursor[0]);
}
