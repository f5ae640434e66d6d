import { sql } from 'kysely';
import type pg from 'pg';
import { shellWord } from '../contract/shell.ts';
import { count, plain, table } from './format.ts';
import { printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import {
  countByStatus,
  findInstance,
  run,
  type SkipFilter,
  skipsOf,
  type SkipStatus,
  withLedger,
} from './skips-ledger.ts';
import { keystride } from './called-as.ts';

/** A cause, and how many items were skipped for it. */
interface Cause {
  readonly fingerprint: string;
  readonly code: string;
  readonly count: number;
  /** Those that are neither redriven nor waived. */
  readonly open: number;
}

/** One item that was set aside. */
interface SkippedItem {
  readonly step: string;
  readonly key: string;
  readonly phase: string;
  readonly code: string;
  readonly message: string;
  readonly partition: number;
  readonly attempts: number;
  readonly status: string;
  readonly at: string;
}

interface SkipList extends Record<SkipStatus, number> {
  readonly instance: string;
  readonly total: number;
  readonly causes: readonly Cause[];
  readonly skips: readonly SkippedItem[];
}

/** `keystride skips ID list`: the causes, and the first items. */
export async function listSkips(id: string, options: SkipsOptions): Promise<void> {
  const list = await withLedger((client) => readSkips(client, id, options));
  if (options.output === 'json') return printJson(list);
  show(list);
}

async function readSkips(client: pg.Client, id: string, options: SkipsOptions): Promise<SkipList> {
  await client.query('begin transaction isolation level repeatable read read only');
  const instance = await findInstance(client, id);
  const counts = await countByStatus(client, instance, options);
  return {
    instance,
    total: counts.open + counts.redriven + counts.waived,
    ...counts,
    causes: await readCauses(client, instance, options),
    skips: await readItems(client, instance, options),
  };
}

async function readCauses(client: pg.Client, instance: string, filter: SkipFilter): Promise<Cause[]> {
  const rows = await run(
    client,
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

async function readItems(client: pg.Client, instance: string, options: SkipsOptions): Promise<SkippedItem[]> {
  return run(
    client,
    skipsOf(instance, options)
      .select(['step', 'item_key as key', 'phase', 'code', 'message', 'partition', 'attempts', 'status'])
      .select(sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as('at'))
      // Those of one chunk were recorded at one time; numbers among their keys stand in their own order.
      .orderBy('created_at')
      .orderBy(sql`length(item_key)`)
      .orderBy('item_key')
      .limit(options.limit),
  );
}

function show({ instance, total, open, redriven, waived, causes, skips }: SkipList): void {
  const settled = [
    ...(redriven > 0 ? [`${count(redriven)} redriven`] : []),
    ...(waived > 0 ? [`${count(waived)} waived`] : []),
  ];
  const states = settled.length > 0 ? `: ${[`${count(open)} open`, ...settled].join(', ')}` : '';
  printLine(`${instance}: ${count(total)} skipped${states}`);
  if (total === 0) return;
  printLine();
  const byCause = causes.map((cause) => [
    count(cause.count),
    count(cause.open),
    plain(cause.code),
    // Whole, as --fingerprint and --key take them.
    shellWord(cause.fingerprint),
  ]);
  for (const line of table(['items', 'open', 'code', 'cause'], byCause)) printLine(line);
  if (skips.length > 0) showItems(skips, total);
  if (open > 0) printLine(`\n  next  ${keystride} skips ${shellWord(instance)} redrive`);
}

function showItems(skips: readonly SkippedItem[], total: number): void {
  printLine();
  const items = skips.map((skip) => [
    plain(skip.step),
    skip.phase,
    skip.status,
    plain(skip.code),
    plain(skip.message),
    shellWord(skip.key),
  ]);
  for (const line of table(['step', 'phase', 'state', 'code', 'message', 'key'], items)) printLine(line);
  if (skips.length < total) printLine(`… and ${count(total - skips.length)} more; --limit shows them`);
}
