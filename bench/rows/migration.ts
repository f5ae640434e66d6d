import { withFailures } from '../../src/commands/demo/behaviour.ts';
import { withSession } from '../../packages/keystride/src/operator/connection.ts';
import { prepareData, readOutcome } from '../../src/commands/demo/data.ts';
import { runMigration, type MigrationResult } from '../../src/commands/demo/migration.ts';
import type { DemoParts } from '../../src/commands/demo/stack.ts';
import { Stub, type StubBehaviour } from '../../src/commands/demo/stub.ts';
import { emptyLedger, runJob, type Bench } from '../bench.ts';
import { observed } from '../contest.ts';
import { costOf, figuresOf, type Figures, type Observation } from '../figures.ts';
import { peerOf } from '../peers/peer-of.ts';
import { springBatch } from '../peers/spring-batch.ts';
import type { Request, Results } from '../request.ts';

const documents = 1000;
const latency = 1000;
const inFlight = 250;

/** The scenarios, run in turn so that a slow minute of the machine meets them all. */
const behaviours = {
  migration: { latency },
  // Failures alone: large documents are another measurement.
  migrationWithFailures: withFailures(documents, latency),
} satisfies Record<string, StubBehaviour>;

type Scenario = keyof typeof behaviours;

/** documentMigration; times are from the first call of the API to the last commit. The limit is what the API alone takes. */
export async function measureMigration(bench: Bench, request: Request): Promise<Results> {
  const scenarios = (Object.keys(behaviours) as Scenario[]).filter((scenario) => request.keys.has(scenario));
  const seen: Record<Scenario, Observation[]> = { migration: [], migrationWithFailures: [] };
  let limitSeconds = Number.NaN;
  for (let run = 1; run <= request.runs; run++)
    for (const scenario of scenarios) {
      const { observation, result } = await oneRun(bench, scenario, 2 * run + scenarios.indexOf(scenario));
      bench.note(`  round ${run}  ${scenario.padEnd(24)} ${observation.seconds.toFixed(3)} s`);
      seen[scenario].push(observation);
      limitSeconds = result.apiLimitSeconds;
    }
  const results: Results = {};
  for (const scenario of scenarios)
    results[scenario] = {
      ...migrationFigures(seen[scenario], limitSeconds),
      ...(await peer(bench, request, scenario)),
    };
  return results;
}

function migrationFigures(seen: readonly Observation[], limitSeconds: number): Figures {
  const limit = { seconds: limitSeconds, workerMaxRssMb: null, cpuSeconds: null };
  const { workerMaxRssMb } = costOf(seen);
  return {
    ...figuresOf(
      { api: [limit] },
      seen.map((observation) => ({ ...observation, cpuSeconds: null })),
    ),
    ...(workerMaxRssMb !== undefined && { workerMaxRssMb }),
  };
}

async function oneRun(
  bench: Bench,
  scenario: Scenario,
  run: number,
): Promise<{ observation: Observation; result: MigrationResult }> {
  const parts = partsOf(bench);
  await emptyLedger(bench);
  await prepareData(parts, { count: documents });
  const request = { documents, inFlight, behaviour: behaviours[scenario], run };
  const { result, observation } = await withSession(async (session) => {
    let ended: MigrationResult | undefined;
    const seen = await observed(bench, async () => (ended = await runMigration(session, parts, request)));
    return { result: ended, observation: seen };
  }, bench.config);
  if (result === undefined) throw new Error(`${scenario} run ${run} was interrupted`);
  const faults = faultsOf(result, scenario);
  if (faults.length > 0) throw new Error(`${scenario} run ${run} is not right: ${faults.join('; ')}`);
  return { result, observation: { ...observation, seconds: result.seconds ?? Number.NaN } };
}

/** A stack, as the demo knows it. */
export function partsOf({ config, stack }: Bench): DemoParts {
  return { config, ours: { postgres: true, mongodb: true }, adopted: false, stop: () => stack.stop() };
}

/** What is wrong with a run. */
function faultsOf(
  { progress, outcome, calls, verified, seconds }: MigrationResult,
  scenario: Scenario,
): string[] {
  const expected = outcome.expected.reduce((sum, cause) => sum + cause.count, 0);
  const checks: [boolean, string][] = [
    [verified, `not verified: ${progress.status} ${progress.reason ?? ''}`],
    [seconds !== null, 'no time could be taken'],
    [outcome.migrated + expected === documents, `${outcome.migrated} migrated and ${expected} expected`],
    [scenario === 'migration' ? expected === 0 : expected > 0, `${expected} expected failures`],
    [
      calls.calls === documents && calls.keysCalledMoreThanOnce === 0,
      `${calls.calls} calls for ${calls.keys} keys`,
    ],
    [calls.peakInFlight <= inFlight, `${calls.peakInFlight} calls in flight`],
  ];
  return checks.filter(([right]) => !right).map(([, fault]) => fault);
}

/** Spring Batch in its best form: the call in the processor, so that a document that fails costs its chunk nothing. */
function peer(bench: Bench, request: Request, scenario: Scenario): ReturnType<typeof peerOf> {
  const stub = new Stub(bench.config.legacyApiUrl);
  const prepare = async (): Promise<void> => {
    await prepareData(partsOf(bench), { count: documents });
    await stub.configure(behaviours[scenario]);
    await emptyLedger(bench);
    await runJob(bench, 'targetSync', { run: 1 }, 'targetSync before the peer');
    await stub.reset();
  };
  const check = async (): Promise<void> => {
    const { migrated, expected } = await readOutcome(partsOf(bench));
    const failed = expected.reduce((sum, cause) => sum + cause.count, 0);
    if (migrated + failed !== documents) throw new Error(`the peer migrated ${migrated}, ${failed} failed`);
  };
  return peerOf(bench, request, { prepare, check }, () =>
    springBatch(bench, {
      job: 'documentMigration',
      environment: {
        SPRING_PROFILES_ACTIVE: 'fetch-in-processor',
        CHUNK: '1000',
        IN_FLIGHT: String(inFlight),
      },
    }),
  );
}
