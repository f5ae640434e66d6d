import { sql } from 'kysely';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { isoTime } from './iso-time.ts';
import type { Asked } from './ledger.ts';
import { type PlaceInList, placeFrom, placeText } from './place-in-list.ts';
import { ledgerSql } from './schema.ts';
import { countSkips, skipsOf, type SkipFilter, type SkipStatus, statusesOf } from './skip-filter.ts';

/** One item that was set aside. */
export interface SkippedItem {
  readonly instance: string;
  readonly step: string;
  readonly key: string;
  readonly phase: string;
  readonly code: string;
  readonly fingerprint: string;
  readonly message: string;
  readonly partition: number;
  readonly attempts: number;
  readonly status: string;
  /** ISO time. */
  readonly at: string;
  readonly settledAt: string | null;
  readonly settledBy: string | null;
  readonly reason: string | null;
  /** What the job keeps of it, as JSON; null for nothing. */
  readonly item: unknown;
}

/** Some of a list, and where the next ones begin. */
export interface SkipPage {
  readonly skips: readonly SkippedItem[];
  /** What `after` takes; null when these are the last. */
  readonly next: string | null;
}

/** How many of them are in each state: at most `countedSkips` + 1, which says that there are more. */
export async function countByStatus(
  ledger: Asked,
  instance: string | undefined,
  filter: SkipFilter,
): Promise<Record<SkipStatus, number>> {
  const counts = { open: 0, redriven: 0, waived: 0 };
  for (const status of statusesOf(filter))
    counts[status] = await countSkips(ledger, instance, { ...filter, status });
  return counts;
}

/** The keys of a filter that none of the skips it means has. */
export async function keysNeverSkipped(
  ledger: Asked,
  instance: string,
  filter: SkipFilter,
): Promise<readonly string[]> {
  if (filter.key === undefined) return [];
  const found = await ledger.run(skipsOf(instance, filter).select('item_key'));
  const keys = new Set(found.map(({ item_key }) => item_key));
  return filter.key.filter((key) => !keys.has(key));
}

const columns = [
  'instance_key as instance',
  'step',
  'item_key as key',
  'phase',
  'code',
  'fingerprint',
  'message',
  'partition',
  'attempts',
  'status',
  'settled_by as settledBy',
  'reason',
  'item',
] as const;

/**
 * Skips in the order in which they were recorded, those of all instances where none is named.
 *
 * Each state is read by itself, in the order of an index, so that a page costs what it holds however many skips there are.
 *
 * @param after where the page before it ended
 */
export async function pageOfSkips(
  ledger: Asked,
  instance: string | undefined,
  filter: SkipFilter,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<SkipPage> {
  const place = placeFrom(after, 5);
  const [first, ...others] = statusesOf(filter).map((status) =>
    ledgerSql.selectFrom(firstOf(instance, { ...filter, status }, place, limit + 1).as('some')).selectAll(),
  );
  if (first === undefined) return { skips: [], next: null };
  const found = others.reduce((all, one) => all.unionAll(one), first).as('found');
  const rows = await ledger.run(
    ledgerSql
      .selectFrom(found)
      .selectAll()
      .orderBy('recorded')
      .orderBy(sql`length(key)`)
      .orderBy('key')
      .orderBy('instance')
      .orderBy('step')
      .orderBy('phase')
      .limit(limit + 1),
  );
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    skips: rows.slice(0, limit).map(({ recorded: _, ...skip }) => skip),
    next: last ? placeText([last.recorded, last.key, last.instance, last.step, last.phase]) : null,
  };
}

/** The first skips of one state after a place. */
function firstOf(
  instance: string | undefined,
  filter: SkipFilter,
  place: PlaceInList | undefined,
  limit: number,
) {
  let query = skipsOf(instance, filter)
    .select(columns)
    .select([isoTime<string>('created_at').as('at'), isoTime('settled_at').as('settledAt')])
    .select(sql<string>`created_at::text`.as('recorded'))
    .orderBy('created_at')
    // Those of one chunk were recorded at one time; numbers among their keys stand in their own order.
    .orderBy(sql`length(item_key)`)
    .orderBy('item_key')
    .orderBy('instance_key')
    .orderBy('step')
    .orderBy('phase')
    .limit(limit);
  if (place) {
    const [at, key, ...rest] = place;
    query = query.where('created_at', '>=', at).where(
      sql<boolean>`(created_at, length(item_key), item_key, instance_key, step, phase) >
          (${at}::timestamptz, length(${key}), ${sql.join([key, ...rest])})`,
    );
  }
  return query;
}

/** Rows fetched at a time: what is in memory, however many there are. */
const atATime = 1_000;

/** All of the skips of an instance, by step, key and phase. The transaction stays open while they are read. */
export async function* allSkips(
  transaction: Transaction,
  instance: string,
  filter: SkipFilter,
): AsyncGenerator<SkippedItem> {
  const { sql: text, parameters } = skipsOf(instance, filter)
    .select(columns)
    .select([isoTime('created_at').as('at'), isoTime('settled_at').as('settledAt')])
    .orderBy('step')
    .orderBy('item_key')
    .orderBy('phase')
    .compile();
  await transaction.query(`declare exported no scroll cursor for ${text}`, [...parameters]);
  for (;;) {
    const { rows } = await transaction.query<Row<SkippedItem>>(`fetch ${atATime} from exported`);
    yield* rows;
    if (rows.length < atATime) return;
  }
}

/** An interface as the driver wants the type of a row. */
type Row<Type> = { [Name in keyof Type]: Type[Name] };

/** Every skip of the ledger as one text, and how often there is that one: to compare two ledgers by. */
export async function skipContents(ledger: Asked): Promise<{ content: string; count: number }[]> {
  return ledger.run(
    ledgerSql
      .selectFrom('keystride.skip')
      .select([
        sql<string>`concat_ws(' ', step, phase, code, item_key)`.as('content'),
        sql<number>`count(*)::int`.as('count'),
      ])
      .groupBy('content'),
  );
}
