import type pg from 'pg';
import {
  isSetBack,
  type Moment,
  type MomentMark,
  presentTransaction,
  takeMoment,
} from '../stores/postgres/horizon.ts';
import {
  mayHaveBeenEmptied,
  shapeOf,
  type TableMember,
  type TableShape,
} from '../stores/postgres/table-shape.ts';
import { type CopiedTables, refuseUnlogged, refuseUnsweepable } from './copied-tables.ts';

/** What a stream depends on besides the rows that are written: remembered with its offset. */
export interface StreamShape {
  /** How each column of the sink comes about. */
  readonly columns: Readonly<Record<string, string>>;
  readonly source: Pick<TableShape, 'members' | 'values' | 'policies'> & { readonly moment: MomentMark };
  readonly sink: Pick<TableShape, 'members'> & {
    /** What was written by an earlier transaction was there when the run that met this shape had ended. */
    readonly since: string;
  };
  /** What the run that met it had to tell of what has changed. */
  readonly told: readonly string[];
}

/** What has changed between two runs of a stream without a row being written, and what follows. */
export interface ShapeChanges {
  /** Why everything is copied again; empty where it need not be. */
  readonly again: readonly string[];
  /** Partitions and children of the source that it did not have: their rows are copied whole. */
  readonly joined: readonly string[];
  /** What people should know: rows that have left, what cannot be known. */
  readonly noted: readonly string[];
}

const mayBeSetBack =
  'the server of the source was started since the run before. If it came back in an earlier state (a snapshot of its ' +
  'disk, a backup), rows that were written anew are not found: rewind the stream to its start. ' +
  'With track_commit_timestamp = on the source would tell';

/** With more than this many new partitions everything is copied again: they stand in Temporal's history by name. */
const mostJoined = 100;

/**
 * Takes the shape of both sides. Take it before anything is read: what changes later is then met by the next run.
 *
 * @throws JobParametersInvalid for a sink whose rows a crash takes away, and for a source in which rows that commit late
 * cannot be found, unless everything is read.
 */
export async function takeShape(
  { source, sink, columns }: CopiedTables,
  moment: Moment,
  mode: string,
): Promise<StreamShape> {
  const from = await shapeOf(
    source.pool,
    source.table,
    columns.map((column) => column.from),
  );
  const to = await shapeOf(
    sink.pool,
    sink.table,
    columns.map((column) => column.to),
  );
  refuseUnlogged(sink.table, to);
  if (mode !== 'bulk') refuseUnsweepable(source.table, from);
  const { members, values, policies } = from;
  const { next, written, started, committed } = moment;
  return {
    columns: Object.fromEntries(
      columns.map((column) => [
        column.to,
        [from.columns[column.from], column.how, to.columns[column.to]].join(' > '),
      ]),
    ),
    source: { members, values, policies, moment: { next, written, started, committed } },
    sink: { members: to.members, since: await presentTransaction(sink.pool) },
    told: [],
  };
}

/**
 * The shape with later marks, now that a run has read and written: how far the source is, which it shows no less of from
 * here on; and the sink's, unless rows were taken away.
 */
export async function markEnd({ source, sink }: CopiedTables, shape: StreamShape): Promise<StreamShape> {
  const { moment } = shape.source;
  const now = await takeMoment(source.pool, source.table);
  const read = { next: later(moment.next, now.next), written: later(moment.written, now.written) };
  const marked = { ...shape, source: { ...shape.source, moment: { ...moment, ...read } } };
  const since = await presentTransaction(sink.pool);
  const { members } = await shapeOf(sink.pool, sink.table, []);
  const kept = Object.entries(shape.sink.members).every(([oid, { file }]) => members[oid]?.file === file);
  return kept ? { ...marked, sink: { ...shape.sink, since } } : marked;
}

function later(one: string, other: string): string {
  return BigInt(one) > BigInt(other) ? one : other;
}

/** What has changed since a stream's offset was moved. */
export async function changesSince(
  tables: CopiedTables,
  before: StreamShape,
  now: StreamShape,
  horizon: string,
): Promise<ShapeChanges> {
  const joined = Object.keys(now.source.members).filter(
    (oid) => now.source.members[oid]?.joined !== before.source.members[oid]?.joined,
  );
  const setBack = await isSetBack(tables.source.pool, before.source.moment, now.source.moment);
  const again = [
    ...changedColumns(before, now),
    ...(valuesDiffer(before.source.values, now.source.values)
      ? ['a type of the source calls its values otherwise']
      : []),
    ...(before.source.policies !== null && before.source.policies !== now.source.policies
      ? ['row security lets the role see other rows of the source']
      : []),
    ...(setBack === true ? ['the source was set back to an earlier state'] : []),
    ...(await lostRows(tables, before, now)),
    ...(joined.length > mostJoined ? [`${joined.length} partitions have joined the source`] : []),
  ];
  const noted = [
    ...(setBack === undefined ? [mayBeSetBack] : []),
    ...joined.map(
      (oid) => `${nameOf(now.source.members[oid])} has joined the source: all its rows are copied`,
    ),
    ...gone(before.source.members, now.source.members).map(
      (member) => `${member.name} has left the source: its rows stay in the sink`,
    ),
    ...(await emptied(tables.source.pool, before.source.members, now.source.members, horizon)).map(
      (name) => `${name} was emptied, or written anew: rows that it lost stay in the sink`,
    ),
    ...gone(before.sink.members, now.sink.members).map(
      (member) => `${member.name} has left the sink, and what was copied to it is no longer there`,
    ),
  ];
  return { again, joined: again.length > 0 ? [] : joined, noted };
}

function changedColumns({ columns: before }: StreamShape, { columns: now }: StreamShape): string[] {
  return Object.entries(now).flatMap(([name, how]) => {
    if (before[name] === how) return [];
    return [
      `column ${name} ${before[name] === undefined ? 'was not copied before' : 'comes about otherwise'}`,
    ];
  });
}

/** Whether values are called otherwise: a label that was added is in no row yet; an attribute that was added is in all of them. */
export function valuesDiffer(before: TableShape['values'], now: TableShape['values']): boolean {
  return (
    Object.entries(before).some(([name, value]) => now[name] !== value) ||
    Object.keys(now).some((name) => name.startsWith('attribute') && before[name] === undefined)
  );
}

type Members = TableShape['members'];

/** What the sink has lost as a whole: rows that were deleted one by one leave no trace. */
async function lostRows({ sink }: CopiedTables, before: StreamShape, now: StreamShape): Promise<string[]> {
  const was = before.sink.members;
  const is = now.sink.members;
  const rootOf = (members: Members) => Object.keys(members).find((oid) => members[oid]?.joined === '');
  if (rootOf(was) !== rootOf(is)) return [`the sink ${sink.table} is another table than before`];
  const replaced = gone(was, is).filter(({ bound }) =>
    Object.entries(is).some(([oid, member]) => was[oid] === undefined && member.bound === bound),
  );
  const empty = await emptied(sink.pool, was, is, before.sink.since);
  return [
    ...replaced.map(({ name }) => `${name} of the sink is another table than before`),
    ...empty.map((name) => `${name} of the sink was emptied, or written anew`),
  ];
}

async function emptied(pool: pg.Pool, before: Members, now: Members, since: string): Promise<string[]> {
  const names: string[] = [];
  for (const [oid, member] of Object.entries(now)) {
    const file = before[oid]?.file;
    if (file === undefined || file === null || file === member.file) continue;
    if (await mayHaveBeenEmptied(pool, oid, since)) names.push(member.name);
  }
  return names;
}

function gone(before: Members, now: Members): TableMember[] {
  return Object.entries(before).flatMap(([oid, member]) => (now[oid] === undefined ? [member] : []));
}

function nameOf(member: TableMember | undefined): string {
  return member?.name ?? 'a table';
}
