import { sql } from 'kysely';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';
import { countedSkips, skipsOf, skipStatuses, type SkipFilter, type SkipStatus } from './skip-filter.ts';

/** A cause, and how many items were skipped for it. */
export interface Cause {
  readonly fingerprint: string;
  readonly code: string;
  /** Each state is counted as far as {@link countedSkips} says. */
  readonly count: number;
  /** Those that are neither redriven nor waived. */
  readonly open: number;
  /** ISO times: when it was met first and last. */
  readonly firstAt: string;
  readonly lastAt: string;
}

/** Causes are listed so far. A message with a particular that no sign stands for makes one of every item. */
export const listedCauses = 1_000;

/**
 * The causes of skips, the most frequent first: those of an instance, or what is open of all.
 *
 * The skips are not grouped, for there may be a million of them: from each cause the index leads to the next one.
 */
export async function causesOf(
  ledger: Asked,
  instance: string | undefined,
  filter: SkipFilter,
): Promise<Cause[]> {
  const causes = new Map<string, Cause>();
  const statuses: readonly SkipStatus[] = filter.status === undefined ? skipStatuses : [filter.status];
  for (const status of instance === undefined ? (['open'] as const) : statuses)
    for (const cause of await causesIn(ledger, instance, { ...filter, status }))
      causes.set(cause.fingerprint, together(causes.get(cause.fingerprint), cause));
  return [...causes.values()].toSorted(
    (one, other) => other.count - one.count || (one.fingerprint < other.fingerprint ? -1 : 1),
  );
}

function together(known: Cause | undefined, more: Cause): Cause {
  if (!known) return more;
  return {
    ...known,
    count: known.count + more.count,
    open: known.open + more.open,
    firstAt: known.firstAt < more.firstAt ? known.firstAt : more.firstAt,
    lastAt: known.lastAt > more.lastAt ? known.lastAt : more.lastAt,
  };
}

/** The causes in one state. */
async function causesIn(
  ledger: Asked,
  instance: string | undefined,
  filter: SkipFilter & { readonly status: SkipStatus },
): Promise<Cause[]> {
  const { fingerprint, code, status } = filter;
  /** The first skip of the first cause: in the order of the index of causes, which no other has. */
  const first = () =>
    skipsOf(instance, { fingerprint, code, status })
      .select(['fingerprint', 'code', isoTime.as('firstAt')])
      .orderBy('fingerprint')
      .orderBy('created_at')
      .limit(1);
  const rows = await ledger.run(
    ledgerSql
      .withRecursive('cause', (which) =>
        which
          .selectFrom(first().as('first'))
          .selectAll()
          .unionAll(
            which
              .selectFrom('cause')
              .innerJoinLateral(
                first()
                  .where('keystride.skip.fingerprint', '>', sql.ref<string>('cause.fingerprint'))
                  .as('next'),
                (join) => join.onTrue(),
              )
              .selectAll('next'),
          ),
      )
      .with('listed', (which) => which.selectFrom('cause').selectAll().limit(listedCauses))
      .selectFrom('listed')
      .innerJoinLateral(counted(instance, filter).as('counted'), (join) => join.onTrue())
      .selectAll('listed')
      .select(['counted.skips', sql<string>`(${last(instance, status)})`.as('lastAt')])
      .where('counted.skips', '>', '0'),
  );
  return rows.map(({ skips, ...cause }) => ({
    ...cause,
    count: Number(skips),
    open: status === 'open' ? Number(skips) : 0,
  }));
}

/** How many of the cause at hand a filter means. */
function counted(instance: string | undefined, filter: SkipFilter) {
  const some = skipsOf(instance, { ...filter, fingerprint: undefined, code: undefined })
    .where('fingerprint', '=', sql.ref<string>('listed.fingerprint'))
    .select(sql`1`.as('one'))
    .limit(countedSkips + 1);
  return ledgerSql.selectFrom(some.as('some')).select(sql<string>`count(*)`.as('skips'));
}

/** When the cause at hand was met last. */
function last(instance: string | undefined, status: SkipStatus) {
  return skipsOf(instance, { status })
    .where('fingerprint', '<=', sql.ref<string>('listed.fingerprint'))
    .select(isoTime.as('at'))
    .orderBy('fingerprint', 'desc')
    .orderBy('created_at', 'desc')
    .limit(1);
}

const isoTime = sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
