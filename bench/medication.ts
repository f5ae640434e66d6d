import pg from 'pg';
import type { Client } from '@temporalio/client';
import type { JobProgress } from '../src/contract/progress.ts';
import { configOf } from '../src/cli/demo/stack.ts';
import { withSession } from '../src/cli/connection.ts';
import { createDemoMedication } from '../src/dev/demo-data/medication.ts';
import { progressText } from '../src/dev/progress.ts';
import { startStack } from '../src/dev/stack.ts';
import type { Measured } from './figures.ts';
import { median } from './median.ts';

const rows = 1_000_000;
const connections = 4;
const date = '2025-10-02';

type Variant = 'set' | 'items';

/** What a run works with. */
interface Bench {
  readonly databaseUrl: string;
  readonly database: pg.Client;
  readonly temporal: Client;
  readonly taskQueue: string;
}

/** medicationHistory as a set step, over a million rows. @throws as `benchVariant` */
export function benchMedicationSet(runs: number): Promise<Measured> {
  return benchVariant('set', 'medicationSet', runs);
}

/** The same item by item in TypeScript. @throws as `benchVariant` */
export function benchMedicationItems(runs: number): Promise<Measured> {
  return benchVariant('items', 'medicationItems', runs);
}

/**
 * A variant beside the same work in SQL alone: insert and update in one transaction, and the same split over four
 * connections. They take turns, so that a slow minute of the machine meets them all.
 * @throws Error when a run has not done every row: a time says nothing about work that was not done
 */
async function benchVariant(variant: Variant, name: string, runs: number): Promise<Measured> {
  const stack = await startStack({
    ephemeral: true,
    workers: 1,
    onProgress: (event) => console.error(progressText(event)),
  });
  const config = configOf(stack.info);
  const database = new pg.Client({ connectionString: config.databaseUrl });
  try {
    await database.connect();
    return await withSession(async ({ client, config: { taskQueue } }) => {
      const bench = { databaseUrl: config.databaseUrl, database, temporal: client, taskQueue };
      await makeRows(bench);
      return measure(bench, variant, name, runs);
    }, config);
  } finally {
    await database.end();
    await stack.stop();
  }
}

async function measure(bench: Bench, variant: Variant, name: string, runs: number): Promise<Measured> {
  await timed(bench, () => byJob(bench, variant, 'warm-up'));
  const times = { oneTransaction: [] as number[], split: [] as number[], job: [] as number[] };
  for (let run = 1; run <= runs; run++) {
    times.oneTransaction.push(await timed(bench, () => inOneTransaction(bench)));
    times.split.push(await timed(bench, () => inParts(bench)));
    times.job.push(await timed(bench, () => byJob(bench, variant, `run ${run}`)));
    console.error(`run ${run}: ${JSON.stringify(times)}`);
  }
  const limitSeconds = Math.min(median(times.oneTransaction), median(times.split));
  const seconds = median(times.job);
  const ratio = Number((seconds / limitSeconds).toFixed(3));
  return { figures: { [name]: { limitSeconds, seconds, ratio, runs: times.job } } };
}

/** Rows that are all to be done, kept aside so that every run begins with the same table. */
async function makeRows({ databaseUrl, database }: Bench): Promise<void> {
  await createDemoMedication({ databaseUrl, count: rows, reset: true });
  await database.query('create table bench_management as select * from management order by id');
}

/** Seconds that `work` takes with no row done before. */
async function timed({ database }: Bench, work: () => Promise<void>): Promise<number> {
  await database.query('truncate management, history');
  await database.query(
    'insert into management overriding system value select * from bench_management order by id',
  );
  await database.query('vacuum (analyze) management, history');
  await database.query('checkpoint');
  const before = performance.now();
  await work();
  const seconds = Math.round(performance.now() - before) / 1000;
  await refuseUnfinished(database);
  return seconds;
}

/** Each row has its history row with the marks that it had, and has none left. */
async function refuseUnfinished(database: pg.Client): Promise<void> {
  const { rows: found } = await database.query<{ written: number; marked: number }>(
    `select (select count(*)::int from history
               join bench_management as before on before.id = management_id
                and (before.member_id, before.morning, before.lunch, before.dinner, before.sleep,
                     before.morning_taking, before.lunch_taking, before.dinner_taking, before.sleep_taking)
                  = (history.member_id, history.morning, history.lunch, history.dinner, history.sleep,
                     history.morning_taking, history.lunch_taking, history.dinner_taking, history.sleep_taking)
              where taking_date = $1) as written,
            (select count(*)::int from management
              where morning_taking or lunch_taking or dinner_taking or sleep_taking) as marked`,
    [date],
  );
  const { written, marked } = found[0] ?? {};
  if (written !== rows || marked !== 0)
    throw new Error(`${written} of ${rows} history rows are right, ${marked} rows are still marked`);
}

const eligible = `not deleted and start_date <= '${date}' and end_date >= '${date}'`;

/** Insert and update, as a team would write them that had no engine; `$1` and `$2` bound the ids. */
const statements = [
  `insert into history (management_id, member_id, morning, lunch, dinner, sleep,
                        morning_taking, lunch_taking, dinner_taking, sleep_taking, taking_date)
   select id, member_id, morning, lunch, dinner, sleep,
          morning_taking, lunch_taking, dinner_taking, sleep_taking, '${date}'
     from management where ${eligible} and id > $1 and id <= $2
   on conflict (management_id, taking_date) do nothing`,
  `update management set morning_taking = false, lunch_taking = false, dinner_taking = false,
                         sleep_taking = false, modified_at = now()
    where ${eligible} and id > $1 and id <= $2`,
];

async function snapshotOf(client: pg.Client, first: number, last: number): Promise<void> {
  await client.query('begin');
  for (const statement of statements) await client.query(statement, [first, last]);
  await client.query('commit');
}

async function inOneTransaction({ database }: Bench): Promise<void> {
  await snapshotOf(database, 0, rows);
}

async function inParts({ databaseUrl }: Bench): Promise<void> {
  const part = rows / connections;
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: databaseUrl }));
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        await client.connect();
        await snapshotOf(client, index * part, (index + 1) * part);
      }),
    );
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** The whole job, from its start to its end. The ledger is emptied, so that the instance may run again. */
async function byJob(
  { database, temporal, taskQueue }: Bench,
  variant: Variant,
  name: string,
): Promise<void> {
  await database.query('truncate keystride.instance cascade');
  const report = (await temporal.workflow.execute('medicationHistory', {
    taskQueue,
    workflowId: `medicationHistory ${variant} ${name}`,
    args: [{ date, variant }],
  })) as JobProgress;
  if (report.status !== 'completed') throw new Error(`${name} ended ${report.status}: ${report.reason}`);
}
