import { answeredOnce } from '../contract/answered-once.ts';
import type pg from 'pg';
import { ToldError } from '../contract/errors.ts';
import type { Reader } from '../contract/reader.ts';
import type { SyncParameters, SyncStart } from '../contract/sync.ts';
import { type AnyChunkWork, chunks, type StepContext } from '../job/chunks.ts';
import { moveOffset, readResult, readUpTo, takeNotedShape } from '../ledger/offset.ts';
import type { TaskletWork, VerificationWork } from '../job/registry.ts';
import type { KeyedRows } from '../stores/postgres/keyed-rows.ts';
import { handingReader } from '../stores/postgres/keyset-reader.ts';
import { lateRows } from '../stores/postgres/late-rows.ts';
import { requireReplayed } from '../stores/postgres/standby.ts';
import { beginRun, isDue } from './beginning.ts';
import { markEnd, type StreamShape } from './shape.ts';
import { writePostponed, writePostponing } from './postponing.ts';
import type { Sync, SyncSource } from './sync.ts';
import type { SyncRow } from './sync-row.ts';
import { Ledger } from '../ledger/ledger.ts';

/** Rows as a sync reads them. */
export function syncSource<Database, Table extends keyof Database & string, Row extends SyncRow>(
  rows: KeyedRows<Database, Table, Row>,
): SyncSource {
  return {
    pool: rows.pool,
    table: rows.table,
    key: rows.key,
    above: (from) => handingReader({ ...rows, above: () => Promise.resolve(from) }),
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
      due: async (signal) => isDue(ledger, await describe(parameters), parameters, signal),
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
