import { count, table } from '../packages/keystride/src/operator/format.ts';
import type { Figures } from './figures.ts';
import { keys, work, type Key } from './keys.ts';
import type { IdleFigures } from './rows/idle.ts';
import type { LogFigures } from './rows/log.ts';
import type { ManyFigures } from './rows/many.ts';
import type { NoopFigures } from './rows/measure-noop.ts';
import type { GrowthFigures } from './rows/measure-orders.ts';
import type { Results } from './request.ts';

/** A table of results: its header, and its rows. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** All rows that were measured, the ratio first. */
export function mainTable(results: Results): Table {
  return {
    header: ['row', 'ratio', 'ours', 'limit', 'peer', 'faster', 'worker', 'work'],
    rows: measuredKeys(results).map((key) => mainRow(key, results[key] as Figures)),
  };
}

function mainRow(key: Key, figures: Figures): string[] {
  const { ratio, seconds, limitSeconds, spread, peerSeconds, workerMaxRssMb } = figures;
  const isHistory = 'eventBudget' in figures && 'events' in figures;
  return [
    key,
    ratio.toFixed(2),
    isHistory ? `${String(figures.events)} events` : `${time(seconds)} (${range(spread)})`,
    isHistory ? `${String(figures.eventBudget)} events` : time(limitSeconds),
    peerSeconds === undefined ? '' : time(peerSeconds),
    peerSeconds === undefined ? '' : `${(peerSeconds / seconds).toFixed(1)} ×`,
    workerMaxRssMb === undefined ? '' : `${workerMaxRssMb} MB`,
    work[key],
  ];
}

/** The no-op job by the size of its chunks: what a chunk costs, and where that goes. */
export function noopTable({ noop }: Results): Table | undefined {
  if (noop === undefined) return undefined;
  const { sizes } = noop as NoopFigures;
  const header = [
    'chunk',
    'items',
    'ours',
    'a chunk',
    'server',
    'database',
    'worker',
    'an item',
    '4 partitions',
    'peer',
  ];
  const rows = Object.values(sizes).map((size) => [
    count(size.chunkSize),
    count(size.items),
    `${time(size.seconds)} (${range(size.spread)})`,
    ...[size.perChunk.total, size.perChunk.server, size.perChunk.database, size.perChunk.worker].map(
      (milliseconds) => `${milliseconds.toFixed(3)} ms`,
    ),
    `${size.microsecondsPerItem.toFixed(2)} µs`,
    time(size.fourPartitions.median),
    size.peerSeconds === undefined ? '' : time(size.peerSeconds),
  ]);
  return { header, rows };
}

/** How old changes were when they were in the sink, and what they were. */
export function logTable(results: Results): Table {
  const milliseconds = (lag?: number) => (lag === undefined ? '' : `${Math.round(lag * 1000)} ms`);
  const rows = measuredKeys(results).flatMap((key) => {
    const figures = results[key] as Figures | LogFigures;
    if (!('changes' in figures)) return [];
    const { seconds, p99Seconds, mostSeconds, changes } = figures;
    const lags = [p99Seconds && seconds, p99Seconds, mostSeconds].map(milliseconds);
    return [[key, ...lags, ...[changes.inserted, changes.updated, changes.deleted].map(count)]];
  });
  return { header: ['row', 'median', 'p99', 'most', 'inserted', 'updated', 'deleted'], rows };
}

/** Time and memory by the number of rows. */
export function growthTable({ growth }: Results): Table | undefined {
  if (growth === undefined) return undefined;
  const rows = Object.entries((growth as GrowthFigures).sizes).map(([size, found]) => [
    count(Number(size)),
    time(found.seconds),
    `${found.microsecondsPerRow.toFixed(2)} µs`,
    found.workerMaxRssMb === undefined ? '' : `${found.workerMaxRssMb} MB`,
  ]);
  return { header: ['rows', 'ours', 'a row', 'worker'], rows };
}

/** What many small executions leave with Temporal and in the ledger. */
export function manyTable({ many }: Results): Table | undefined {
  if (many === undefined) return undefined;
  const { executions, seconds, eventsOfEach, ledger } = many as ManyFigures;
  const ofEach = (all: number) => (ledger ? count(Math.round(all / ledger.executions)) : '');
  const row = [
    ...[count(executions), (executions / seconds).toFixed(1), count(eventsOfEach)],
    ...(ledger
      ? [count(ledger.executions), ofEach(ledger.rows), ofEach(ledger.bytes)]
      : ['not measured', '', '']),
    ...(ledger ? [count(ledger.deadTuples), count(ledger.autovacuums)] : ['', '']),
  ];
  const ofLedger = [
    'executions in the ledger',
    'rows of each',
    'bytes of each',
    'dead row versions',
    'autovacuums',
  ];
  return { header: ['at once', 'a second', 'events of each', ...ofLedger], rows: [row] };
}

/** What a worker takes that does nothing. */
export function idleTable({ idle, idleSync }: Results): Table | undefined {
  const measured = Object.entries({ idle, idleSync }).filter(([, figures]) => figures !== undefined);
  const rows = measured.map(([key, figures]) => {
    const { share, residentMb, eventsAnHour } = figures as IdleFigures;
    return [
      ...[key, `${(share * 100).toFixed(1)} %`, residentMb === undefined ? '' : `${residentMb} MB`],
      eventsAnHour === undefined ? '' : count(eventsAnHour),
    ];
  });
  return rows.length > 0 ? { header: ['row', 'of a core', 'worker', 'events an hour'], rows } : undefined;
}

/** Our steps in a bare loop: how much of the time beyond the limit is the engine's. */
export function loopTable(results: Results): Table | undefined {
  const rows = measuredKeys(results).flatMap((key) => {
    const { withoutEngine, seconds, limitSeconds, spread } = results[key] as Figures;
    if (withoutEngine === undefined) return [];
    const { median } = withoutEngine;
    return [
      [
        ...[key, time(limitSeconds), `${time(median)} (${range(withoutEngine)})`],
        ...[`${time(seconds)} (${range(spread)})`, (seconds / median).toFixed(2)],
      ],
    ];
  });
  const header = ['row', 'limit', 'without an engine', 'ours', 'ours to that'];
  return rows.length > 0 ? { header, rows } : undefined;
}

/** Processor time of our median run: where a core was busy. */
export function cpuTable(results: Results): Table {
  const rows = measuredKeys(results).flatMap((key) => {
    const { cpuSeconds, seconds } = results[key] as Figures;
    if (cpuSeconds === undefined) return [];
    const { worker, database, server } = cpuSeconds;
    return [[key, time(seconds), ...[worker, database, server].map(time)]];
  });
  return { header: ['row', 'ours', 'CPU of worker', 'CPU of PostgreSQL', 'CPU of Temporal'], rows };
}

/** Every table, by its title on the page; the first has none. */
export const tables: Readonly<Record<string, (results: Results) => Table | undefined>> = {
  '': mainTable,
  'Without an engine': loopTable,
  'The engine alone': noopTable,
  'Change capture': logTable,
  Growth: growthTable,
  'Many runs': manyTable,
  'Nothing to do': idleTable,
  'Processor time': cpuTable,
};

/** All of it for a terminal. */
export function lines(results: Results): string[] {
  return Object.values(tables)
    .map((of) => of(results))
    .filter((found) => found !== undefined && found.rows.length > 0)
    .flatMap((found) => (found === undefined ? [] : ['', ...table(found.header, found.rows)]));
}

function measuredKeys(results: Results): Key[] {
  return keys.filter((key) => results[key] !== undefined);
}

function time(seconds: number): string {
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

function range({ least, most }: Figures['spread']): string {
  return `${least.toFixed(2)}–${most.toFixed(2)}`;
}
