import { sql } from 'kysely';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

export const skipStatuses = ['open', 'redriven', 'waived'] as const;

export type SkipStatus = (typeof skipStatuses)[number];

/** Which skips of an instance are meant; what is not said does not narrow them. */
export interface SkipFilter {
  readonly fingerprint?: string;
  readonly key?: readonly string[];
  readonly step?: string;
  readonly status?: SkipStatus;
}

/** A cause, and how many items were skipped for it. */
export interface Cause {
  readonly fingerprint: string;
  readonly code: string;
  readonly count: number;
  /** Those that are neither redriven nor waived. */
  readonly open: number;
}

/** One item that was set aside. */
export interface SkippedItem {
  readonly step: string;
  readonly key: string;
  readonly phase: string;
  readonly code: string;
  readonly message: string;
  readonly partition: number;
  readonly attempts: number;
  readonly status: string;
  /** ISO time. */
  readonly at: string;
}

/** A skip with all that is known of it. */
export interface ExportedSkip extends SkippedItem {
  readonly instance: string;
  readonly fingerprint: string;
  readonly settledAt: string | null;
  readonly settledBy: string | null;
  readonly reason: string | null;
}

/** The skips of an instance that a filter means. */
export function skipsOf(instance: string, { fingerprint, key, step, status }: SkipFilter) {
  let query = ledgerSql.selectFrom('keystride.skip').where('instance_key', '=', instance);
  if (fingerprint !== undefined) query = query.where('fingerprint', '=', fingerprint);
  if (key !== undefined) query = query.where(sql<boolean>`item_key = any(${key}::text[])`);
  if (step !== undefined) query = query.where('step', '=', step);
  if (status !== undefined) query = query.where('status', '=', status);
  return query;
}

/** How many of them are in each state. */
export async function countByStatus(
  ledger: Asked,
  instance: string,
  filter: SkipFilter,
): Promise<Record<SkipStatus, number>> {
  const rows = await ledger.run(
    skipsOf(instance, filter)
      .select(['status', sql<string>`count(*)`.as('items')])
      .groupBy('status'),
  );
  const found = new Map(rows.map(({ status, items }) => [status, Number(items)]));
  return {
    open: found.get('open') ?? 0,
    redriven: found.get('redriven') ?? 0,
    waived: found.get('waived') ?? 0,
  };
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

/** The causes of skips, the most frequent first. */
export async function causesOf(ledger: Asked, instance: string, filter: SkipFilter): Promise<Cause[]> {
  const rows = await ledger.run(
    skipsOf(instance, filter)
      .select([
        'fingerprint',
        'code',
        sql<string>`count(*)`.as('items'),
        sql<string>`count(*) filter (where status = 'open')`.as('open'),
      ])
      .groupBy(['fingerprint', 'code'])
      .orderBy('items', 'desc')
      .orderBy('fingerprint'),
  );
  return rows.map(({ fingerprint, code, items, open }) => ({
    fingerprint,
    code,
    count: Number(items),
    open: Number(open),
  }));
}

/** The first of the skips, in the order in which they were recorded. */
export async function firstSkips(
  ledger: Asked,
  instance: string,
  filter: SkipFilter,
  limit: number,
): Promise<SkippedItem[]> {
  return ledger.run(
    skipsOf(instance, filter)
      .select(['step', 'item_key as key', 'phase', 'code', 'message', 'partition', 'attempts', 'status'])
      .select(isoTime<string>('created_at').as('at'))
      // Those of one chunk were recorded at one time; numbers among their keys stand in their own order.
      .orderBy('created_at')
      .orderBy(sql`length(item_key)`)
      .orderBy('item_key')
      .limit(limit),
  );
}

/** Rows fetched at a time: what is in memory, however many there are. */
const atATime = 1_000;

/** All of the skips, by step, key and phase. The transaction stays open while they are read. */
export async function* allSkips(
  transaction: Transaction,
  instance: string,
  filter: SkipFilter,
): AsyncGenerator<ExportedSkip> {
  const { sql: text, parameters } = skipsOf(instance, filter)
    .select([
      'instance_key as instance',
      'step',
      'item_key as key',
      'phase',
      'code',
      'fingerprint',
      'message',
    ])
    .select(['partition', 'attempts', 'status', isoTime('created_at').as('at')])
    .select([isoTime('settled_at').as('settledAt'), 'settled_by as settledBy', 'reason'])
    .orderBy('step')
    .orderBy('item_key')
    .orderBy('phase')
    .compile();
  await transaction.query(`declare exported no scroll cursor for ${text}`, [...parameters]);
  for (;;) {
    const { rows } = await transaction.query<Row<ExportedSkip>>(`fetch ${atATime} from exported`);
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

function isoTime<Type = string | null>(column: 'created_at' | 'settled_at') {
  return sql<Type>`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
