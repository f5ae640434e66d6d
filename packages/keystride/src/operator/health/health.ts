import { readCallShares, type SharedCalls } from '../../ledger/call-shares.ts';
import type { JobStatus } from '../../contract/states.ts';
import { withoutCredentials } from '../../settings/environment.ts';
import { keystride } from '../called-as.ts';
import type { Session } from '../connection.ts';
import { readExecution } from '../execution.ts';
import { reasonOf } from '../explain.ts';
import { withLedger } from '../ledger.ts';
import { listRuns } from '../runs.ts';
import { bad, type Finding, type Mark, warn } from '../finding.ts';
import { leftBehind, type PolledQueue, readBuilds, readQueues, type WorkerBuildState } from './workers.ts';

/** A part that keystride cannot do without. */
export interface NeededPart {
  /** Without credentials. */
  readonly address: string;
  /** Null where it answers. */
  readonly away: string | null;
}

/** A run that does not go on at full speed, or not at all. */
export interface RunHeldBack {
  readonly workflowId: string;
  readonly status: JobStatus;
  readonly reason: string | null;
}

/** How everything is. */
export interface Health {
  readonly temporal: NeededPart;
  readonly ledger: NeededPart;
  readonly queues: readonly PolledQueue[];
  readonly builds: readonly WorkerBuildState[];
  /** The APIs whose calls workers share at present. */
  readonly calls: readonly SharedCalls[];
  /** Runs that are under way; at most so many are looked at. */
  readonly active: number;
  readonly heldBack: readonly RunHeldBack[];
  /** What a person is to do, the worst first. */
  readonly findings: readonly Finding[];
}

/** How long Temporal and the ledger may take to answer, in milliseconds. */
const answersWithin = 1_000;

/** Runs under way that are looked at, and those of which it is asked why. */
const mostRuns = 50;
const mostReasons = 10;

/** Looks how everything is. It always answers. */
export async function readHealth(session: Session): Promise<Health> {
  const [temporal, ledger] = await Promise.all([temporalPart(session), ledgerPart(session)]);
  const asked =
    temporal.away === null
      ? await Promise.all([
          readQueues(session).catch(() => []),
          readBuilds(session),
          runsUnderWay(session).catch(() => ({ active: 0, heldBack: [] })),
        ])
      : undefined;
  const [queues = [], builds = [], runs = { active: 0, heldBack: [] }] = asked ?? [];
  const { calls, ...ledgerAnswer } = ledger;
  const found = { temporal, ledger: ledgerAnswer, queues, builds, calls, ...runs };
  return { ...found, findings: findingsOf(found) };
}

async function temporalPart({ client, config }: Session): Promise<NeededPart> {
  const { address } = config.temporal;
  try {
    await connected(client, Date.now() + answersWithin);
    return { address, away: null };
  } catch (error) {
    return { address, away: reasonOf(error) };
  }
}

/** The channel below a connection, which Temporal's types keep to themselves. */
interface Channel {
  waitForReady(deadline: number, told: (error?: Error) => void): void;
}

/** A call would be tried again and again, beyond its deadline too. */
function connected({ connection }: Session['client'], deadline: number): Promise<void> {
  const { client: channel } = connection as unknown as { readonly client: Channel };
  return new Promise((resolve, reject) => {
    channel.waitForReady(deadline, (error) => (error ? reject(error) : resolve()));
  });
}

async function ledgerPart({
  config,
}: Session): Promise<NeededPart & { readonly calls: readonly SharedCalls[] }> {
  const { databaseUrl } = config;
  if (databaseUrl === undefined) return { address: '', away: 'DATABASE_URL is not set', calls: [] };
  const address = withoutCredentials(databaseUrl);
  try {
    return { address, away: null, calls: await withLedger(readCallShares, answersWithin) };
  } catch (error) {
    return { address, away: reasonOf(error), calls: [] };
  }
}

const slowStates: readonly JobStatus[] = ['holding', 'paused', 'throttled'];

async function runsUnderWay(session: Session): Promise<Pick<Health, 'active' | 'heldBack'>> {
  const { runs } = await listRuns(session, { group: 'active' }, { limit: mostRuns });
  const slow = runs.filter(({ status }) => slowStates.includes(status));
  const heldBack = await Promise.all(
    slow.map(async ({ workflowId, status }, index) => ({
      workflowId,
      status,
      reason: index < mostReasons ? (await readExecution(session.client, workflowId)).progress.reason : null,
    })),
  );
  return { active: runs.length, heldBack };
}

function findingsOf(health: Omit<Health, 'findings'>): readonly Finding[] {
  const { temporal, ledger } = health;
  return [
    ...away('temporal', `Temporal at ${temporal.address}`, temporal.away),
    ...away('ledger', ledger.address === '' ? 'the ledger' : `the ledger at ${ledger.address}`, ledger.away),
    ...health.queues.flatMap((queue) => unpolled(queue, health.active)),
    ...leftBehind(health.builds, health.queues).map(({ deployment, build }) =>
      bad(
        'builds',
        `runs of build ${build} of ${deployment} wait, and no worker of that build polls`,
        `Start workers of it again: KEYSTRIDE_BUILD_ID=${build} ${keystride} worker`,
      ),
    ),
    ...held(health.heldBack),
  ].toSorted((one, other) => Number(one.mark === 'warn') - Number(other.mark === 'warn'));
}

function away(check: 'temporal' | 'ledger', what: string, why: string | null): Finding[] {
  if (why === null) return [];
  const variable = check === 'temporal' ? 'TEMPORAL_ADDRESS' : 'DATABASE_URL';
  return [
    bad(
      check,
      `${what} does not answer: ${why}`,
      `Start it, correct ${variable}, or run ${keystride} dev --detach`,
    ),
  ];
}

/** @param active runs that wait for a worker where there is none */
function unpolled({ taskQueue, pollers }: PolledQueue, active: number): Finding[] {
  if (pollers.length > 0) return [];
  const what = `no worker polls task queue ${taskQueue}`;
  const found = active > 0 ? bad : warn;
  return [found('workers', what, `Start one: ${keystride} worker`)];
}

/** What a person may have to do with runs in these states, and how many of them are named. */
const waitingStates = [
  {
    status: 'holding',
    mark: 'bad',
    one: 'waits for somebody, for a step has failed',
    many: 'wait for somebody, for a step of each has failed',
    todo: 'Look why, then resume, skip or stop',
  },
  { status: 'paused', mark: 'warn', one: 'is paused', many: 'are paused', todo: 'Resume or stop' },
] as const satisfies readonly {
  status: JobStatus;
  mark: Mark;
  one: string;
  many: string;
  todo: string;
}[];
const mostNamed = 3;

function held(runs: readonly RunHeldBack[]): Finding[] {
  return waitingStates.flatMap(({ status, mark, one, many, todo }) => {
    const ids = runs.filter((run) => run.status === status).map(({ workflowId }) => workflowId);
    if (ids.length === 0) return [];
    const more = ids.length > mostNamed ? ` and ${ids.length - mostNamed} more` : '';
    const what = `${ids.slice(0, mostNamed).join(', ')}${more} ${ids.length === 1 ? one : many}`;
    return { check: 'runs', mark, what, todo: `${todo} ${ids.length === 1 ? 'it' : 'them'}.` };
  });
}
