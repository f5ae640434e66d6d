import pg from 'pg';
import { medicationHistorySteps } from '../../src/activities/medication-history.ts';
import { createDemoMedication } from '../../src/demo-data/medication.ts';
import { runJob, type Bench } from '../bench.ts';
import type { Contest } from '../contest.ts';
import { noRun, withoutEngine } from './without-engine.ts';

const rows = 1_000_000;
const connections = 4;
export const date = '2025-10-02';

/**
 * Ways to take the snapshot: one transaction, the same over four ranges of ids side by side, our step item by item in a
 * bare loop, and our job's variants.
 */
export type MedicationWay = 'oneTransaction' | 'fourConnections' | 'withoutEngine' | 'set' | 'items';

/** Rows that are all to be done, kept aside so that every run begins with the same table. */
export async function makeMedication({ config, database, note }: Bench): Promise<void> {
  note(`  making ${rows} medications`);
  await createDemoMedication({ databaseUrl: config.databaseUrl, count: rows, reset: true });
  await database.query('create table bench_management as select * from management order by id');
}

/** Gives the space back. */
export async function forgetMedication({ database }: Bench): Promise<void> {
  await database.query('drop table if exists bench_management');
  await database.query('truncate management, history');
}

/** The snapshot of a day, of a million medications. */
export function medicationContest(bench: Bench): Contest<MedicationWay> {
  const ours = (variant: 'set' | 'items') => (round: number) =>
    runJob(bench, 'medicationHistory', { date, variant }, `medicationHistory ${variant}, run ${round}`);
  return {
    prepare: () => prepare(bench),
    check: () => refuseUnfinished(bench),
    ways: {
      oneTransaction: () => snapshotOf(bench.database, 0, rows),
      fourConnections: () => inParts(bench),
      withoutEngine: () => withoutEngine(bench, snapshotStep),
      set: ours('set'),
      items: ours('items'),
    },
  };
}

function snapshotStep(database: pg.Pool) {
  return medicationHistorySteps({ database }).snapshot(
    noRun({ date, variant: 'items', partitions: connections }),
  );
}

async function prepare({ database }: Bench): Promise<void> {
  await database.query('truncate management, history');
  await database.query(
    'insert into management overriding system value select * from bench_management order by id',
  );
  await database.query('vacuum (analyze) management, history');
  await database.query('checkpoint');
}

/** Each row has its history row with the marks that it had, and has none left. */
async function refuseUnfinished({ database }: Bench): Promise<void> {
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

async function inParts({ config: { databaseUrl } }: Bench): Promise<void> {
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
