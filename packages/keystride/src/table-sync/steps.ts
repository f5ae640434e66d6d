import { answeredOnce } from '../contract/answered-once.ts';
import type pg from 'pg';
import { ToldError } from '../contract/errors.ts';
import type { Cursor } from '../contract/cursor.ts';
import type { Reader } from '../contract/reader.ts';
import type { SyncParameters, SyncStart } from '../contract/sync.ts';
import { type AnyChunkWork, chunks, type StepContext } from '../job/chunks.ts';
import { moveOffset, noteShape, openOffset, readResult, readUpTo, takeNotedShape } from '../ledger/offset.ts';
import type { TaskletWork, VerificationWork } from '../job/registry.ts';
import {
  isComparable,
  type Moment,
  openTransaction,
  type Since,
  takeMoment,
} from '../stores/postgres/horizon.ts';
import type { TableComparison } from '../stores/postgres/hash-comparison.ts';
import type { KeyedRows } from '../stores/postgres/keyed-rows.ts';
import { keysetReader } from '../stores/postgres/keyset-reader.ts';
import { lateRows } from '../stores/postgres/late-rows.ts';
import { requireReplayed } from '../stores/postgres/standby.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { CopiedTables } from './copied-tables.ts';
import { changesSince, markEnd, type ShapeChanges, type StreamShape, takeShape } from './shape.ts';
import { writePostponed, writePostponing } from './postponing.ts';
import type { References } from './references.ts';
import type { Sink } from './sink.ts';
import type { SyncRow } from './sync-row.ts';
import { Ledger } from '../ledger/ledger.ts';

/** What is copied, and where to. */
export interface Sync {
  /** The name that the offset is kept under: another one for each order in which the rows are read. */
  readonly stream: string;
  readonly source: SyncSource;
  readonly sink: Sink;
  readonly compared: ComparedSync;
  /** What is remembered of both tables, to find what changes without a row being written. */
  readonly tables: CopiedTables;
  /** Which rows of the sink refer to others of it; undefined where none do. */
  readonly references?: References;
}

/** How the two sides are compared, and what differs is put right. */
export interface ComparedSync {
  readonly comparison: TableComparison;
  /** Reads rows again by the key that they are compared by. */
  readonly reader: Reader<SyncRow>;
  /** Removes rows that the source does not have; left out where the sink keeps them. */
  remove?(keys: readonly Cursor[], transaction: Transaction): Promise<number>;
}

interface SyncSource {
  readonly pool: pg.Pool;
  readonly table: string;
  readonly key: readonly string[];
  /** The rows above an offset; null for all. */
  above(from: Cursor | null): Reader<SyncRow>;
  /** The rows up to an offset that have arrived since the run before. */
  late(upTo: Cursor, since: Since): Reader<SyncRow>;
}

/** Rows as a sync reads them. */
export function syncSource<Database, Table extends keyof Database & string, Row extends SyncRow>(
  rows: KeyedRows<Database, Table, Row>,
): SyncSource {
  return {
    pool: rows.pool,
    table: rows.table,
    key: rows.key,
    above: (from) => keysetReader({ ...rows, above: () => Promise.resolve(from) }),
    late: (upTo, since) => lateRows(rows, upTo, since),
  };
}

/** The steps of every sync. */
export interface SyncSteps<Parameters, Start extends SyncStart = SyncStart> {
  begin(context: StepContext<Parameters>): TaskletWork<Start>;
  copy(context: StepContext<Parameters>): AnyChunkWork;
  sweep(context: StepContext<Parameters>): AnyChunkWork;
  remember(context: StepContext<Parameters>): TaskletWork;
  verify(context: StepContext<Parameters>): VerificationWork;
}

/**
 * Copies what is above the offset, then what was written below it since the last time, then moves the offset.
 *
 * No row is lost, in whatever order transactions commit. Take a row version that had committed when a run began. If its
 * key is above the offset, `copy` reads it: the upper end is looked up later. If it is below and was written by a
 * transaction that was open at the run before, or younger, `sweep` reads it. Else it had committed when the run before
 * began, and is there by the same argument. Versions that are written while a run reads are the next run's.
 *
 * @param database of the ledger, which the sink is in too.
 * @param describe looks up what the parameters name.
 */
export function syncSteps<Parameters extends SyncParameters>(
  database: pg.Pool,
  describe: (parameters: Parameters) => Promise<Sync>,
): SyncSteps<Parameters> {
  const ledger = new Ledger(database);
  const writing = (sync: () => Promise<Sync>, reader: () => Promise<Reader<SyncRow>>) =>
    chunks<SyncRow, SyncRow>({
      reader: later(answeredOnce(reader)),
      processor: (row) => row,
      writer: { write: async (rows, transaction) => (await sync()).sink.write(rows, transaction) },
    });
  const copying = (
    step: 'copy' | 'sweep',
    { instance, epoch, parameters }: StepContext<Parameters>,
    choose: (sync: Sync, start: SyncStart) => Reader<SyncRow>,
  ) => {
    const sync = answeredOnce(() => describe(parameters));
    const reader = answeredOnce(async () => {
      const described = await sync();
      const start = await startOf(ledger, instance);
      if (start.written !== undefined) await requireReplayed(described.source.pool, start.written);
      const chosen = choose(described, start);
      return described.references?.toItself.length ? inOneRange(chosen) : chosen;
    });
    const read = later(reader);
    return chunks<SyncRow, SyncRow>({
      reader: {
        ...read,
        readKeys: async (request) => {
          if (request.since) await requireLatest(ledger, await sync());
          return (await read.readKeys?.(request)) ?? [];
        },
      },
      processor: (row) => row,
      writer: {
        write: async (rows, transaction) => {
          const to = postponingSink(await sync());
          return to
            ? writePostponing(to, rows, transaction, { instance, step })
            : (await sync()).sink.write(rows, transaction);
        },
      },
      afterStep: async (transaction) => {
        const to = postponingSink(await sync());
        if (to) await writePostponed(to, await reader(), transaction, { instance, epoch, step });
      },
    });
  };
  return {
    begin: ({ instance, parameters, log }) => ({
      run: async (transaction) => {
        const start = await beginRun(transaction, await describe(parameters), instance, parameters);
        for (const told of start.told ?? []) log.warn(told, { stream: start.stream });
        if (start.behind)
          log.warn(
            'a transaction of the source is open: its rows are copied by the first run after its end',
            {
              stream: start.stream,
              heldBackBy: start.heldBackBy,
            },
          );
        return start;
      },
    }),
    copy: (context) => copying('copy', context, ({ source }, { from }) => source.above(from)),
    sweep: (context) =>
      copying('sweep', context, ({ source }, { from, since, joined = [] }) =>
        from && since ? source.late(from, { horizon: since, joined }) : nothing,
      ),
    remember: ({ instance, parameters }) => ({
      run: async (transaction) => {
        const { from, since, ...start } = await startOf(ledger, instance);
        const met = (await takeNotedShape(transaction, instance)) as StreamShape | null;
        const shape = met && (await markEnd((await describe(parameters)).tables, met));
        // A run that did not sweep leaves the horizon to the next one that does, and the shape with it.
        const swept = from === null || since !== null;
        const move = { ...start, from, horizon: swept ? start.horizon : null, shape };
        return { moved: await moveOffset(transaction, move, { instance, step: 'copy' }) };
      },
    }),
    verify: ({ parameters }) => {
      const sync = answeredOnce(() => describe(parameters));
      return {
        comparePage: async (...page) => (await sync()).compared.comparison.comparePage(...page),
        lacking: async (...keys) => (await sync()).compared.comparison.lacking(...keys),
        unrepairable: async () => (await sync()).compared.comparison.unrepairable(),
        repair: {
          step: 'copy',
          // By the key that is compared: the copy may be reading in the order of a timestamp.
          work: writing(sync, async () => (await sync()).compared.reader),
          remove: async (keys, transaction) =>
            (await (await sync()).compared.remove?.(keys, transaction)) ?? 0,
        },
      };
    },
  };
}

/** A transaction that is open for longer than this is worth telling of, in seconds. */
const longOpen = 5;

async function beginRun(
  transaction: Transaction,
  { stream, source, tables }: Sync,
  instance: string,
  { mode, sweepSeconds }: SyncParameters,
): Promise<SyncStart> {
  // Before anything is read: what commits from here on is the next run's, whether this one sees it or not.
  const moment = await takeMoment(source.pool, source.table);
  const shape = await takeShape(tables, moment, mode);
  const offset = await openOffset(transaction, stream, { ...source, place: moment.place });
  const { cursor, horizon, sweptSecondsAgo, moves } = offset;
  const before = offset.shape as StreamShape | null;
  if (before) await requireReplayed(source.pool, before.source.moment.written);
  // Without a horizon that can be compared nobody knows what is missing below the offset.
  const known = mode !== 'bulk' && cursor !== null && horizon !== null && isComparable(horizon, moment);
  const changes = known ? await changesOf(tables, before, shape, horizon) : none;
  const from = known && changes.again.length === 0 ? cursor : null;
  const due = sweptSecondsAgo === null || sweptSecondsAgo >= sweepSeconds;
  const heldBackBy = await longTransaction(source.pool, moment, horizon);
  const told = [
    ...changes.again.map((reason) => `${reason}: everything is copied again`),
    ...changes.noted,
    ...(shape.source.policies === null ? [] : [rowSecurity]),
  ];
  await noteShape(transaction, instance, { ...shape, told });
  return {
    ...{ stream, from, moves, horizon: moment.horizon, written: moment.written },
    since: from && due ? horizon : null,
    ...{ behind: heldBackBy !== null, heldBackBy, joined: changes.joined, told },
  };
}

const none: ShapeChanges = { again: [], joined: [], noted: [] };

/** A policy may ask other tables, settings and functions, and nobody tells when their answers change. */
const rowSecurity =
  'row security decides which rows of the source the role sees: rows that it begins to show later, without a change of ' +
  'its policies, are not found. Use a role with BYPASSRLS, or mode=bulk';

async function changesOf(
  tables: CopiedTables,
  before: StreamShape | null,
  now: StreamShape,
  horizon: string,
): Promise<ShapeChanges> {
  if (before) return changesSince(tables, before, now, horizon);
  return {
    ...none,
    noted: [
      'how source and sink were made up at the run before is not known: columns that were added and partitions that ' +
        'were attached before this run are not found. To be sure, rewind the stream to its start',
    ],
  };
}

/** The oldest open transaction, if it is open for long or already was when the last run began. */
async function longTransaction(pool: pg.Pool, moment: Moment, before: string | null) {
  const open = await openTransaction(pool, moment);
  if (!open) return null;
  return (open.seconds ?? 0) >= longOpen || moment.horizon === before ? open : null;
}

/** What the step `begin` of a run has found. */
export async function startOf<Start extends SyncStart = SyncStart>(
  ledger: Ledger,
  instance: string,
): Promise<Start> {
  const start = await readResult(ledger, { instance, step: 'begin' });
  if (start === null) throw new ToldError(`${instance} has not begun: its step begin has no result`);
  return start as Start;
}

/**
 * Requires of a source that is a standby that it shows what any run of the stream has read: a later one than that which
 * skipped an item may have written a later version of its row. @throws Unavailable
 */
async function requireLatest(ledger: Ledger, { stream, source }: Sync): Promise<void> {
  const written = await readUpTo(ledger, stream);
  if (written !== null) await requireReplayed(source.pool, written);
}

function postponingSink({ sink, references, source }: Sync) {
  return references && { sink, references, order: source.key };
}

/** In key order from its beginning: rows mostly refer to rows before them, and few have to be postponed. */
function inOneRange<Item>({ split: _, ...reader }: Reader<Item>): Reader<Item> {
  return { ...reader, plan: (request) => reader.plan({ ...request, partitions: 1 }) };
}

/** A reader that has to be looked up. */
function later<Item>(reader: () => Promise<Reader<Item>>): Reader<Item> {
  return {
    plan: async (request) => (await reader()).plan(request),
    read: async (request) => (await reader()).read(request),
    order: async () => (await (await reader()).order?.()) ?? '',
    split: async (request) => (await (await reader()).split?.(request)) ?? null,
    position: async () => (await (await reader()).position?.()) ?? null,
    readKeys: async (request) => (await (await reader()).readKeys?.(request)) ?? [],
  };
}

const nothing: Reader<SyncRow> = {
  plan: () => Promise.resolve({ ranges: [], expected: 0 }),
  read: () => Promise.reject(new ToldError('there is nothing to read')),
};
