import { historyOf } from '../../test/support/history.ts';
import { type Bench, emptyLedger, runJob } from '../bench.ts';
import { type Contest, inRounds, warmUp } from '../contest.ts';
import { figuresOf, type Figures, type Observation } from '../figures.ts';
import { type LedgerSize, ledgerSizeOf } from '../ledger-size.ts';
import type { Request, Results } from '../request.ts';

const executions = 1000;

const items = 10;

/** As many executions a second as are wanted. */
const wanted = 30;

const goal: Observation = { seconds: executions / wanted, workerMaxRssMb: null, cpuSeconds: null };

/** So many times the executions one after another, where the growth of the ledger is asked for. */
const waves = 10;

/** The figures of many small runs that are started at once. */
export interface ManyFigures extends Figures {
  readonly executions: number;
  /** What one of them leaves with Temporal. */
  readonly eventsOfEach: number;
  /** What ten times as many leave in the ledger; undefined where nobody has asked for large measurements. */
  readonly ledger?: LedgerSize & { readonly executions: number };
}

/** Many executions of a small job, all started at once: what an execution costs beside its work. */
export async function measureMany(bench: Bench, { runs, large }: Request): Promise<Results> {
  const contest: Contest<'ours'> = {
    prepare: () => Promise.resolve(),
    check: () => refuseOther(bench, executions),
    ways: { ours: (round) => startAll(bench, round) },
  };
  await warmUp(
    bench,
    { ...contest, ways: { ours: (round) => startAll(bench, round, executions / 20) } },
    'ours',
  );
  const { ours } = await inRounds(bench, runs, contest);
  const { events } = await historyOf(bench.client, workflowIdOf(1, 0));
  const many: ManyFigures = {
    ...figuresOf({ goal: [goal] }, ours),
    executions,
    eventsOfEach: events,
    ...(large ? { ledger: await growLedger(bench, runs) } : {}),
  };
  return { many };
}

function workflowIdOf(round: number, run: number): string {
  return `noop, round ${round}, run ${run}`;
}

function startAll(bench: Bench, round: number, times = executions): Promise<unknown> {
  const startOne = (run: number) => {
    const parameters = { items, chunkSize: items, run: round * executions + run };
    return runJob(bench, 'noop', parameters, workflowIdOf(round, run));
  };
  return Promise.all(Array.from({ length: times }, (_, run) => startOne(run)));
}

async function growLedger(bench: Bench, rounds: number): Promise<NonNullable<ManyFigures['ledger']>> {
  await emptyLedger(bench);
  for (let wave = 1; wave <= waves; wave++) {
    await startAll(bench, rounds + wave);
    bench.note(`  ${wave * executions} executions`);
  }
  await refuseOther(bench, waves * executions);
  return { executions: waves * executions, ...(await ledgerSizeOf(bench.database)) };
}

/** @throws Error when the ledger does not have so many executions completed, with their items */
async function refuseOther({ database }: Bench, wantedExecutions: number): Promise<void> {
  const { rows } = await database.query<{ completed: number; written: number }>(
    `select (select count(*)::int from keystride.instance where status = 'completed') as completed,
            (select coalesce(sum(written), 0)::int from keystride.checkpoint) as written`,
  );
  const [{ completed, written } = { completed: 0, written: 0 }] = rows;
  if (completed !== wantedExecutions || written !== wantedExecutions * items)
    throw new Error(`${completed} of ${wantedExecutions} executions have completed, with ${written} items`);
}
