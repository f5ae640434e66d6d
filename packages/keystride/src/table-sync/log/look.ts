import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import type { LogPlace, LogState } from '../../ledger/log.ts';
import type { SeenTable } from '../../ledger/seen-table.ts';
import { goesOn } from '../../stores/postgres/log-history.ts';
import { type LogPosition, positionOf } from '../../stores/postgres/log-position.ts';
import { partitionsProblem } from '../../stores/postgres/partitions.ts';
import { findSlot, lostText, publicationMark } from '../../stores/postgres/replication-slot.ts';
import { mayBeRewritten, storedRows } from '../../stores/postgres/stored-rows.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';
import { type Alterations, alterationsSince, firstOf, unlikeAdded } from './seen.ts';

/** Why a position means nothing in the source that is there. */
export const anotherSource =
  'the source is another server or database than that of the position, or a standby was promoted that lacks what was applied';

/** Whether what the sink has is of the log that is there: also when it is that of a standby that was promoted. */
export function isTheSame(
  source: pg.Pool,
  { place, cursor, state }: LogPlace,
  now: string,
): Promise<boolean> {
  const positions = [cursor?.[0], state?.settledAt].map((text) => positionOf(text ?? '0/0'));
  const last = positions.reduce((most, position) => (position > most ? position : most));
  return goesOn(source, { from: place, to: now }, last);
}

/** Whether what becomes of the tables after a position is told, and can be applied. */
export interface Look {
  /** Why it is not told, or not all of it; null when it is. */
  readonly problem: string | null;
  /** What is to be done to a sink first; null for nothing. */
  readonly wanted: string | null;
  /** What this look has found, to be compared with the next one's. */
  readonly found: Pick<LogState, 'stored' | 'seen'>;
}

/** Looks at a slot, its publication, and at what becomes of tables without the log. */
export async function lookAtTables(
  { source, database, tables }: FollowedTables,
  state: LogState,
  position: LogPosition,
): Promise<Look> {
  const stored = await storedRows(source, Object.keys(state.stored), state.stored);
  const altered = await alterationsOf(tables, state.seen);
  const found = {
    stored,
    seen: Object.fromEntries(Array.from(altered, ([{ source: name }, { seen }]) => [name, seen])),
  };
  const problem =
    state.lost ??
    (await slotProblem(source, state, position)) ??
    (isDeepStrictEqual(
      tables.map((table) => table.source),
      state.tables,
    )
      ? null
      : 'its tables are others than before') ??
    firstOf(altered, ([{ source: name }, { again }]) => again && `${name} was altered: ${again}`) ??
    rewritten(state.stored, stored) ??
    (await repartitioned(source, state.stored, stored));
  if (problem !== null || isDeepStrictEqual(found.seen, state.seen)) return { problem, wanted: null, found };
  return { problem, wanted: await wantedFor(database, altered), found };
}

type Altered = ReadonlyMap<FollowedTable, Alterations>;

async function alterationsOf(
  tables: readonly FollowedTable[],
  before: Readonly<Record<string, SeenTable>>,
): Promise<Altered> {
  const found = new Map<FollowedTable, Alterations>();
  for (const table of tables) {
    const was = before[table.source];
    if (was) found.set(table, alterationsSince(was, await table.look()));
  }
  return found;
}

async function wantedFor(database: pg.Pool, altered: Altered): Promise<string | null> {
  for (const [{ sink }, { wanted, added }] of altered) {
    const found = wanted ?? (await unlikeAdded(database, sink, added));
    if (found !== null) return found;
  }
  return null;
}

function rewritten(before: LogState['stored'], now: LogState['stored']): string | null {
  const found = Object.entries(before).find(([table, was]) => mayBeRewritten(was, now[table] ?? was));
  return found
    ? `a column of ${found[0]} was altered and its rows were rewritten, which is not in the log`
    : null;
}

async function repartitioned(
  source: pg.Pool,
  before: LogState['stored'],
  now: LogState['stored'],
): Promise<string | null> {
  for (const [table, { partitions: was }] of Object.entries(before)) {
    const is = now[table]?.partitions;
    const found = was && is ? await partitionsProblem(source, was, is) : null;
    if (found !== null) return `${table} was altered: ${found}, which is not in its log`;
  }
  return null;
}

async function slotProblem(
  source: pg.Pool,
  { slot: name, publication, published }: Pick<LogState, 'slot' | 'publication' | 'published'>,
  position: LogPosition,
): Promise<string | null> {
  const slot = await findSlot(source, name);
  if (!slot) return `the replication slot ${name} is gone`;
  if (slot.lost !== null) return lostText(name, slot.lost);
  if (slot.confirmed > position + 1n)
    return `the replication slot ${name} is beyond what the sink has: the sink was restored, or somebody has moved the slot`;
  if ((await publicationMark(source, publication)) !== published)
    return `the publication ${publication} was altered or made anew: the log does not tell what was written meanwhile`;
  return null;
}
