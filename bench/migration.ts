import { withFailures } from '../src/cli/demo/behaviour.ts';
import { prepareData } from '../src/cli/demo/data.ts';
import { runMigration, type MigrationResult } from '../src/cli/demo/migration.ts';
import { configOf, type DemoParts } from '../src/cli/demo/stack.ts';
import type { StubBehaviour } from '../src/cli/demo/stub.ts';
import { withSession, type Session } from '../src/cli/connection.ts';
import { progressText } from '../src/dev/progress.ts';
import { startStack } from '../src/dev/stack.ts';
import type { Figures, Measured } from './figures.ts';
import { median } from './median.ts';

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

/**
 * documentMigration over 1,000 documents, an API of 1 s and 250 calls in flight, on a stack of its own. The limit is what
 * the API alone takes; times are from its first call to the last commit.
 * @throws Error when a run is not right: a time says nothing about work that was not done
 */
export async function benchMigration(runs: number): Promise<Measured> {
  const stack = await startStack({
    ephemeral: true,
    workers: 1,
    onProgress: (event) => console.error(progressText(event)),
  });
  try {
    const parts: DemoParts = {
      config: configOf(stack.info),
      ours: { postgres: true, mongodb: true },
      adopted: false,
      stop: () => stack.stop(),
    };
    return { figures: await withSession((session) => measure(session, parts, runs), parts.config) };
  } finally {
    await stack.stop();
  }
}

async function measure(session: Session, parts: DemoParts, runs: number): Promise<Record<Scenario, Figures>> {
  const results: Record<Scenario, MigrationResult[]> = { migration: [], migrationWithFailures: [] };
  for (let run = 1; run <= runs; run++) {
    results.migration.push(await oneRun(session, parts, 'migration', 2 * run - 1));
    results.migrationWithFailures.push(await oneRun(session, parts, 'migrationWithFailures', 2 * run));
  }
  return {
    migration: figuresOf(results.migration),
    migrationWithFailures: figuresOf(results.migrationWithFailures),
  };
}

async function oneRun(
  session: Session,
  parts: DemoParts,
  scenario: Scenario,
  run: number,
): Promise<MigrationResult> {
  await prepareData(parts, { count: documents });
  const result = await runMigration(session, parts, {
    documents,
    inFlight,
    behaviour: behaviours[scenario],
    run,
  });
  if (result === undefined) throw new Error(`${scenario} run ${run} was interrupted`);
  const faults = faultsOf(result, scenario);
  if (faults.length > 0) throw new Error(`${scenario} run ${run} is not right: ${faults.join('; ')}`);
  return result;
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

function figuresOf(results: readonly MigrationResult[]): Figures {
  const runs = results.map(({ seconds }) => seconds ?? Number.NaN);
  const limitSeconds = results[0]?.apiLimitSeconds ?? Number.NaN;
  const seconds = median(runs);
  return { limitSeconds, seconds, ratio: Number((seconds / limitSeconds).toFixed(3)), runs };
}
