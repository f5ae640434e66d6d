import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { runJob, type Bench } from '../bench.ts';
import { inRounds, warmUp, type Contest } from '../contest.ts';
import { figuresOf, rounded, type Figures, type Observation } from '../figures.ts';
import { median } from '../median.ts';
import { peakMb } from '../processes.ts';
import type { Request, Results } from '../request.ts';
import { copyBetween } from './sync.ts';

const rows = 1_000_000;
const writers = 4;
const transactionsPerSecond = 500;
const secondsWatched = 20;
/** Until the copy is followed, and the code is compiled. */
const secondsBefore = 5;
/** How often the sink is looked at, in milliseconds. */
const lookMs = 10;

/** What a change may take from the source into the sink, at the median. */
const goal: Observation = { seconds: 0.3, workerMaxRssMb: null, cpuSeconds: null };

/** What a stream has done, and from a change in the source to the sink, in seconds. */
export interface LogFigures extends Figures {
  readonly p99Seconds?: number;
  readonly mostSeconds?: number;
  /** Rows by what the log said of them in the last run, as the ledger counts them. */
  readonly changes: Readonly<Record<'inserted' | 'updated' | 'deleted', number>>;
}

const parameters = { source: 'bench_log', mode: 'log', partitions: 4 };

/** A table that is followed in the log: how soon a change is there, and how soon many are. */
export async function measureLog(bench: Bench, request: Request): Promise<Results> {
  const { service, database } = bench;
  for (const client of [service, database])
    await client.query(
      `create table bench_log (writer int, id bigint, note text, sent timestamptz, primary key (writer, id))`,
    );
  try {
    return {
      ...(request.keys.has('log') ? { log: await lagOf(bench) } : {}),
      ...(request.keys.has('logCopy') ? { logCopy: await firstCopyOf(bench, request.runs) } : {}),
      ...(request.keys.has('logRows') ? { logRows: await rowsOf(bench, request.runs, 100) } : {}),
      ...(request.keys.has('logLarge') ? { logLarge: await rowsOf(bench, request.runs, 1) } : {}),
    };
  } finally {
    for (const client of [service, database]) await client.query('drop table bench_log');
    await dropSlots(bench);
  }
}

/** Small transactions, one after another at their times, whatever becomes of them. */
async function lagOf(bench: Bench): Promise<LogFigures> {
  const { client, config } = bench;
  const handle = await client.workflow.start('tableSync', {
    taskQueue: config.taskQueue,
    workflowId: 'tableSync log',
    args: [{ ...parameters, poll: 'continuous' }],
  });
  try {
    const lags = await whileWritten(bench, async () => {
      await delay(secondsBefore * 1000);
      return watch(bench, secondsWatched * 1000);
    });
    const seconds = rounded(median(lags));
    const at = (share: number) =>
      rounded(lags.toSorted((a, b) => a - b)[Math.floor(lags.length * share)] ?? 0);
    const found = { p99Seconds: at(0.99), mostSeconds: at(0.999999) };
    bench.note(
      `  ${lags.length} changes: median ${seconds} s, p99 ${found.p99Seconds} s, most ${found.mostSeconds} s`,
    );
    const seen = { seconds, workerMaxRssMb: peakMb(bench.pids.worker), cpuSeconds: null };
    return { ...figuresOf({ goal: [goal] }, [seen]), ...found, changes: await changesOf(bench) };
  } finally {
    await handle.executeUpdate('stop', { args: [{}] });
    await handle.result();
  }
}

/** Does something while the source gets small transactions all the time. */
async function whileWritten<Result>({ config }: Bench, work: () => Promise<Result>): Promise<Result> {
  const stop = new AbortController();
  const writing = Array.from({ length: writers }, (_, writer) =>
    write(config.sourceDatabaseUrl, writer, stop.signal),
  );
  try {
    return await work();
  } finally {
    stop.abort();
    await Promise.allSettled(writing);
  }
}

async function write(connectionString: string, writer: number, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const everyMs = (1000 * writers) / transactionsPerSecond;
  try {
    const begun = performance.now();
    for (let id = 1; !signal.aborted; id++) {
      const early = begun + id * everyMs - performance.now();
      if (early > 0) await delay(early);
      await client.query('insert into bench_log values ($1, $2, $3, clock_timestamp())', [
        writer,
        id,
        `note ${id}`,
      ]);
    }
  } finally {
    await client.end();
  }
}

/** @returns of each change that came how old it was when it was seen, in seconds */
async function watch({ database }: Bench, milliseconds: number): Promise<number[]> {
  const lags: number[] = [];
  const last = Array.from({ length: writers }, () => 0);
  const look = async () => {
    const { rows: come } = await database.query<{ writer: number; id: string; lag: number }>(
      `select writer, bench_log.id, extract(epoch from clock_timestamp() - sent)::float8 as lag
         from unnest($1::bigint[]) with ordinality as seen (id, place) join bench_log on writer = place - 1 and bench_log.id > seen.id`,
      [last],
    );
    for (const { writer, id } of come) last[writer] = Math.max(last[writer] ?? 0, Number(id));
    return come.map(({ lag }) => lag);
  };
  await look();
  for (const until = performance.now() + milliseconds; performance.now() < until; await delay(lookMs))
    for (const lag of await look()) lags.push(lag);
  return lags;
}

/** A million rows that are copied while the source is written to, beside a `COPY` of them with an upsert. */
async function firstCopyOf(bench: Bench, runs: number): Promise<LogFigures> {
  let changes = noChanges;
  const contest: Contest<'copy' | 'log'> = {
    prepare: async () => {
      await empty(bench);
      await fill(bench, 100);
    },
    // Of what is written meanwhile, some comes too late for either.
    check: () => refuseOther(bench, 'where writer >= 100'),
    ways: {
      copy: () => whileWritten(bench, () => byCopy(bench)),
      log: async (round) => {
        const run = { ...parameters, run: round + 1 };
        await whileWritten(bench, () => runJob(bench, 'tableSync', run, `tableSync log copy ${round}`));
        changes = await changesOf(bench);
      },
    },
  };
  await warmUp(bench, contest, 'log');
  const { copy, log } = await inRounds(bench, runs, contest);
  return { ...figuresOf({ copy }, log), changes };
}

/** A million rows that are in the log and not in the sink, beside a `COPY` of them with an upsert. */
async function rowsOf(bench: Bench, runs: number, transactions: number): Promise<LogFigures> {
  let run = 0;
  let changes = noChanges;
  const followed = () =>
    runJob(bench, 'tableSync', { ...parameters, run: (run += 1) }, `tableSync log ${run}`);
  const contest: Contest<'copy' | 'log'> = {
    prepare: async () => {
      await empty(bench);
      await followed();
      await fill(bench, transactions);
    },
    check: () => refuseOther(bench),
    ways: {
      copy: () => byCopy(bench),
      log: async () => {
        await followed();
        changes = await changesOf(bench);
      },
    },
  };
  await warmUp(bench, contest, 'log');
  const { copy, log } = await inRounds(bench, runs, contest);
  if (changes.inserted !== rows)
    throw new Error(`the stream has counted ${changes.inserted} of ${rows} rows`);
  return { ...figuresOf({ copy }, log), changes };
}

const noChanges = { inserted: 0, updated: 0, deleted: 0 };

async function changesOf({ database }: Bench): Promise<LogFigures['changes']> {
  const { rows: streams } = await database.query<LogFigures['changes']>(
    // A stream that is polled counts none.
    `select sum(inserted)::int as inserted, sum(updated)::int as updated, sum(deleted)::int as deleted
       from keystride.stream_offset`,
  );
  return streams[0] ?? noChanges;
}

/** Forgets the slots and all rows. */
async function empty(bench: Bench): Promise<void> {
  await dropSlots(bench);
  for (const client of [bench.service, bench.database]) await client.query('truncate bench_log');
}

/** Transactions that write a million rows between them. */
async function fill({ service, database }: Bench, transactions: number): Promise<void> {
  for (let part = 0; part < transactions; part++)
    await service.query(
      `insert into bench_log select $1, n, 'note ' || n, clock_timestamp() from generate_series(1, $2::int) as n`,
      [part + 100, rows / transactions],
    );
  await service.query('vacuum analyze bench_log');
  await database.query('checkpoint');
}

function byCopy(bench: Bench): Promise<void> {
  return copyBetween(bench, {
    rows: 'select * from bench_log',
    like: 'select * from bench_log',
    upsert: `insert into bench_log select * from arrived on conflict (writer, id) do update
        set note = excluded.note, sent = excluded.sent`,
  });
}

/** @throws Error when the sink is not as its source */
async function refuseOther({ service, database }: Bench, which = ''): Promise<void> {
  const hash = `select count(*) || ' ' || sum(hashtextextended(bench_log::text, 0)) as hash from bench_log ${which}`;
  const [wanted, found] = await Promise.all([
    service.query<{ hash: string }>(hash),
    database.query<{ hash: string }>(hash),
  ]);
  if (wanted.rows[0]?.hash !== found.rows[0]?.hash) throw new Error('the sink is not as its source');
}

/** Ends whoever reads a slot, and drops it with what it keeps. */
async function dropSlots({ service }: Bench): Promise<void> {
  for (;;) {
    const { rows: read } = await service.query(
      'select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null',
    );
    if (read.length === 0) break;
    await delay(200);
  }
  await service.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
}
