import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

export const skipStatuses = ['open', 'redriven', 'waived'] as const;

export type SkipStatus = (typeof skipStatuses)[number];

/** Which skips are meant; what is not said does not narrow them. */
export interface SkipFilter {
  readonly fingerprint?: string | undefined;
  readonly code?: string | undefined;
  readonly key?: readonly string[] | undefined;
  /** What their keys begin with. */
  readonly keyPrefix?: string | undefined;
  readonly step?: string | undefined;
  readonly status?: SkipStatus | undefined;
}

/** The states that a filter means. */
export function statusesOf({ status }: SkipFilter): readonly SkipStatus[] {
  return status === undefined ? skipStatuses : [status];
}

/** The last of all characters: after every text that begins with another one stands that one with it. */
const last = String.fromCodePoint(0x10_ff_ff);

/** A cause begins with its code, unless that leaves no room for more. */
const longestIndexedCode = 100;

/** The skips that a filter means, of one instance or of all. */
export function skipsOf(instance: string | undefined, filter: SkipFilter) {
  const { fingerprint, code, key, keyPrefix, step, status } = filter;
  let query = ledgerSql.selectFrom('keystride.skip');
  if (instance !== undefined) query = query.where('instance_key', '=', instance);
  // Spelt out, for an index of the open ones is used only where the statement says that it wants them.
  if (status !== undefined) query = query.where('status', '=', sql<string>`${sql.lit(status)}`);
  if (fingerprint !== undefined) query = query.where('fingerprint', '=', fingerprint);
  if (code !== undefined) query = query.where('code', '=', code);
  if (code !== undefined && code.length <= longestIndexedCode)
    query = query.where('fingerprint', '>=', `${code}: `).where('fingerprint', '<', `${code}: ${last}`);
  if (key !== undefined) query = query.where(sql<boolean>`item_key = any(${key}::text[])`);
  if (keyPrefix !== undefined)
    query = query.where('item_key', '>=', keyPrefix).where('item_key', '<', keyPrefix + last);
  if (step !== undefined) query = query.where('step', '=', step);
  return query;
}

/** Skips are counted so far. */
export const countedSkips = 10_000;

/** How many skips a filter means: at most {@link countedSkips} + 1, which says that there are more. */
export async function countSkips(
  ledger: Asked,
  instance: string | undefined,
  filter: SkipFilter,
): Promise<number> {
  const some = skipsOf(instance, filter)
    .select(sql`1`.as('one'))
    .limit(countedSkips + 1);
  const [counted] = await ledger.run(
    ledgerSql.selectFrom(some.as('some')).select(sql<string>`count(*)`.as('skips')),
  );
  return Number(counted?.skips ?? 0);
}
