import type {
  VerificationInput,
  VerificationReport,
} from '../../packages/keystride/src/contract/verification.ts';
import type { Bench } from '../bench.ts';
import { type Contest, inRounds, warmUp } from '../contest.ts';
import { figuresOf } from '../figures.ts';
import type { Request, Results } from '../request.ts';

const rows = 1_000_000;

const table = 'bench_verified';

const synced = { job: 'tableSync', parameters: { source: table, run: 1 } };

/** Two tables of a million rows that are compared, against the hashes of both, made side by side by hand. */
export async function measureVerify(bench: Bench, { runs }: Request): Promise<Results> {
  await makeTables(bench);
  try {
    const contest = verifyContest(bench);
    await warmUp(bench, contest, 'ours');
    const { hashes, ours } = await inRounds(bench, runs, contest);
    return { verify: figuresOf({ hashes }, ours) };
  } finally {
    for (const database of [bench.service, bench.database])
      await database.query(`drop table if exists ${table}`);
  }
}

async function makeTables({ service, database, note }: Bench): Promise<void> {
  note(`  making ${rows} rows, twice`);
  for (const client of [service, database]) {
    await client.query(
      `create table ${table} as
       select n as id, 'member ' || n % 1000 as member, md5(n::text) as note, (n * 1.10)::numeric(12, 2) as amount,
              timestamptz '2025-01-01 00:00Z' + n * interval '1 second' as at
         from generate_series(1::bigint, ${rows}) as n`,
    );
    await client.query(`alter table ${table} add primary key (id)`);
    await client.query(`vacuum analyze ${table}`);
  }
  await database.query('checkpoint');
}

/** Neither way writes anything. */
function verifyContest(bench: Bench): Contest<'hashes' | 'ours'> {
  return {
    prepare: () => Promise.resolve(),
    check: () => Promise.resolve(),
    ways: { hashes: () => byHand(bench), ours: (round) => runVerification(bench, synced, rows, round) },
  };
}

/**
 * A hash of each table, as ours: MD5, which is the same on every server, added up. Each row is hashed once: without the
 * `offset` PostgreSQL does it for each half.
 *
 * @throws Error when the two differ
 */
async function byHand({ service, database }: Bench): Promise<void> {
  const half = (bits: string) => `sum((${bits})::bit(64)::bigint)`;
  const row = `row(id, member, note, amount, at at time zone 'UTC')::text`;
  const hash = `select count(*) || ' ' || ${half('bits')} || ' ' || ${half('bits << 64')} as hash
    from (select ('x' || md5(${row}))::bit(128) as bits from ${table} offset 0) as hashed`;
  const [one, other] = await Promise.all([
    service.query<{ hash: string }>(hash),
    database.query<{ hash: string }>(hash),
  ]);
  if (one.rows[0]?.hash !== other.rows[0]?.hash) throw new Error('the two tables have other hashes');
}

/**
 * Compares what a job has written, from the start of the workflow to its report.
 *
 * @throws Error when not all was compared, or something differs
 */
export async function runVerification(
  { client, config }: Bench,
  input: Pick<VerificationInput, 'job' | 'parameters'>,
  wanted: number,
  round: number,
): Promise<void> {
  const { verified, compared, differences } = (await client.workflow.execute('verification', {
    taskQueue: config.taskQueue,
    workflowId: `verification of ${input.job} ${round}`,
    args: [input],
  })) as VerificationReport;
  if (!verified || compared !== wanted)
    throw new Error(`${compared} of ${wanted} were compared, and ${differences} differ`);
}
