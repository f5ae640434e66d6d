import { Client, Connection } from '@temporalio/client';
import type { JobDefinition } from '../contract/job.ts';
import { instanceKey, parseParameters } from '../contract/parameters.ts';
import { comparesSides } from '../contract/policy.ts';
import { followsLog } from '../contract/sync.ts';
import { PartError } from '../dev/part.ts';
import type { OnProgress } from '../dev/progress.ts';
import { startStack, type Stack } from '../dev/stack.ts';
import type { Project } from '../project/project.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { dataConverterOf } from '../settings/data-converter.ts';
import type { EncryptionSettings } from '../settings/encryption-keys.ts';
import { bookProblems } from './books.ts';
import { ignoredColumns } from './columns.ts';
import { Copies, type DataSource, withClient } from './copies.ts';
import { compareEffects, type Comparison, readEffects } from './effects.ts';
import {
  faultText,
  isRestart,
  type FaultPlace,
  type Passes,
  placesOf,
  type PlannedFault,
  planFaults,
  restarts,
} from './plan.ts';
import { type Bench, type RunLeft, runOnce } from './run.ts';
import { compareStream } from './stream-audit.ts';
import { streamOf } from './stream-run.ts';

/** The faults of one run, and the seed that once decided them. */
export interface KeptRun {
  readonly seed: number;
  readonly faults: readonly PlannedFault[];
}

/** What to prove. */
export interface ProveOptions {
  readonly project: Project;
  readonly job: JobDefinition;
  /** The keys that its workers have, where the environment names some. */
  readonly encryption?: EncryptionSettings;
  /** The job's parameters as a caller gives them. */
  readonly input: Readonly<Record<string, unknown>>;
  /** One run with faults for each; as many in a row as there are places meet them all. */
  readonly seeds: readonly number[];
  /**
   * Runs that have failed once, with the faults that they had: what a seed decides is another thing as soon as there is
   * one more place.
   */
  readonly kept?: readonly KeptRun[];
  /** Runs at a time. Those that restart a server have it to themselves. */
  readonly parallel: number;
  readonly data: DataSource;
  readonly onProgress: OnProgress;
  /** Told of the run without faults. */
  readonly onMeasured: (passes: Passes, seconds: number) => void;
  readonly onRun: (run: ProvedRun) => void;
  /** The command that repeats the run of a seed. */
  readonly repeat: (seed: number) => string;
}

/** How one run with faults ended. */
export interface ProvedRun {
  readonly seed: number;
  /** In words. */
  readonly faults: readonly string[];
  /** The same, to be run again by `kept`. */
  readonly plan: readonly PlannedFault[];
  readonly seconds: number;
  /** Rows and documents of the run without faults that are missing. */
  readonly lost: number;
  /** Rows and documents too many, and committed writes too many. */
  readonly doubled: number;
  /** The books balance and are those of the run without faults. */
  readonly balanced: boolean;
  /** The job's own verification found nothing but what attempts that died had left, and its repair removed that. */
  readonly verified: boolean;
  /** The job did not complete: why. */
  readonly problem?: string;
  /** One line each: what is different, and what is wrong with the books. */
  readonly findings: readonly string[];
}

/** The sum of all runs. */
export interface ProveReport {
  readonly runs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly balanced: boolean;
  readonly verified: boolean;
  /** Faults that happened, by place, of all places that the job passes. */
  readonly faultPoints: Readonly<Record<string, number>>;
  readonly failedSeeds: readonly number[];
}

/** The longest that a run may take, in seconds. */
const timeLimitSeconds = 150;

/** The same of one that follows a log: it is written to until its faults have happened, and has to catch up then. */
const followedLimitSeconds = 240;

/**
 * Runs a job once without faults and then again and again with faults, each on a copy of its data, and compares what
 * each run has left with what the first one left.
 *
 * All servers are its own, with the project's stubs; of what the environment names only databases are used, and those
 * only copied.
 *
 * @throws PartError when a part does not come up, a database cannot be copied, or the job fails without faults
 * @throws JobParametersInvalid
 */
export async function prove(options: ProveOptions): Promise<ProveReport> {
  const followed = followsLog(parseParameters(options.job, options.input));
  // A stream is followed until the faults of its run have happened, however soon it would have ended.
  const input = followed ? { ...options.input, poll: 'continuous' } : options.input;
  const parameters = parseParameters(options.job, input);
  const instance = instanceKey(options.job, parameters, options.encryption?.hashKey);
  const settings = options.project.config.prove;
  const stack = await startStack({
    ephemeral: true,
    project: options.project,
    ...(settings?.stubArguments && { stubArguments: settings.stubArguments }),
    // Workers come and go here by the dozen, on purpose.
    onProgress: (event) => event.part.startsWith('worker') || options.onProgress(event),
  });
  try {
    return await proveOn(stack, { ...options, input, data: { ...options.data, followed } }, instance);
  } finally {
    await stack.stop();
  }
}

async function proveOn(stack: Stack, options: ProveOptions, instance: string): Promise<ProveReport> {
  const { postgres, temporal } = stack.parts;
  const own = { databaseUrl: postgres.url, sourceDatabaseUrl: postgres.sourceUrl };
  const copies = await Copies.prepare(options.project, options.data, own, instance);
  const connection = await Connection.connect({ address: temporal.address });
  const bench: Bench = {
    stack,
    client: new Client({
      connection,
      namespace: temporal.namespace,
      dataConverter: dataConverterOf(options.encryption),
    }),
    copies,
    job: options.job.name,
    verifiable: comparesSides(options.job.steps),
    input: options.input,
    instance,
    followed: options.data.followed === true,
    environment: options.project.config.prove?.environment ?? {},
    restartable: options.data.databaseUrl === undefined ? restarts : ['temporalRestarted'],
    timeLimitSeconds: options.data.followed ? followedLimitSeconds : timeLimitSeconds,
  };
  try {
    const standard = await measure(bench, options);
    return await runAll(bench, options, standard);
  } finally {
    await connection.close();
    await copies.drop();
  }
}

/** What all runs are measured by. */
interface Standard {
  /** What was wrong with the run without faults, one line each. */
  readonly wrong: readonly string[];
  judge(left: RunLeft): Promise<Judgement>;
}

async function measure(
  bench: Bench,
  { onMeasured }: ProveOptions,
): Promise<Standard & { readonly passes: Passes }> {
  const since = await clockOf(bench.copies.sourceUrl);
  const { passes, seconds, problem, judgement } = await runOnce(
    bench,
    { name: 'without_faults', seed: 0, faults: [] },
    (left) => (bench.followed ? streamStandard(left, bench.instance) : effectsStandard(left, since)),
  );
  const wrong = problem ?? judgement.wrong[0];
  if (wrong !== undefined)
    throw new PartError({
      what: `without any fault ${wrong}`,
      where: bench.instance,
      todo: 'Make the job complete on this data first.',
    });
  onMeasured(passes, seconds);
  return { passes, ...judgement };
}

/** What the run without faults has left. */
async function effectsStandard(
  { databaseUrl, mongo, books, unverified }: RunLeft,
  since: Date,
): Promise<Standard> {
  const ignored = await ignoredColumns(databaseUrl, since);
  const effects = await readEffects(databaseUrl, mongo, ignored, since);
  return {
    wrong: [...books.problems, ...unverified],
    judge: async (left) => ({
      ...compareEffects(effects, await readEffects(left.databaseUrl, left.mongo, ignored, since)),
      books: bookProblems(books, left.books),
      unverified: left.unverified,
    }),
  };
}

/** What is written to a source while it is followed is another thing in each run: a stream is measured by its own source. */
async function streamStandard(first: RunLeft, instance: string): Promise<Standard> {
  const judge = async ({ sourceUrl, databaseUrl, books, unverified }: RunLeft): Promise<Judgement> => {
    const place = await streamOf(databaseUrl, instance);
    const found = place?.state
      ? await compareStream(sourceUrl, databaseUrl, place.state)
      : { lost: 0, doubled: 0, differences: ['the stream has not begun'] };
    return { ...found, books: books.problems, unverified };
  };
  const { differences, books, unverified } = await judge(first);
  return { wrong: [...books, ...unverified, ...differences], judge };
}

async function runAll(
  bench: Bench,
  options: ProveOptions,
  standard: Standard & { readonly passes: Passes },
): Promise<ProveReport> {
  const happened = new Map<FaultPlace, number>(placesOf(standard.passes).map((place) => [place, 0]));
  const done: ProvedRun[] = [];
  const fresh = options.seeds.map((seed) => ({ seed, faults: planFaults(seed, standard.passes) }));
  const runs = [...(options.kept ?? []), ...fresh].map((run, index) => ({ ...run, index }));
  const restarting = ({ faults }: KeptRun) => faults.some(({ place }) => isRestart(place));
  const perform = async (run: KeptRun & { readonly index: number }) => {
    const proved = await runWithFaults(bench, standard, run, happened).catch((error: unknown) => {
      throw unjudged(error, run.seed, options.repeat(run.seed));
    });
    done.push(proved);
    options.onRun(proved);
  };
  await eachOf(
    runs.filter((run) => !restarting(run)),
    options.parallel,
    perform,
  );
  await eachOf(runs.filter(restarting), 1, perform);
  return reportOf(done, happened);
}

async function runWithFaults(
  bench: Bench,
  standard: Standard,
  { seed, faults, index }: KeptRun & { readonly index: number },
  happened: Map<FaultPlace, number>,
): Promise<ProvedRun> {
  const run = { name: `run_${index}_seed_${seed}`, seed, faults };
  const story = await runOnce(bench, run, (left) => standard.judge(left));
  for (const [place, count] of story.happened) happened.set(place, (happened.get(place) ?? 0) + count);
  const { lost, doubled, differences, books, unverified } = story.judgement;
  return {
    seed,
    faults: faults.map(faultText),
    plan: faults,
    seconds: story.seconds,
    lost,
    doubled,
    balanced: books.length === 0,
    verified: unverified.length === 0,
    ...(story.problem !== undefined && { problem: story.problem }),
    findings: [...differences, ...books, ...unverified],
  };
}

/** What went wrong was not the job's: a server of ours does not come back, say. */
function unjudged(error: unknown, seed: number, repeat: string): PartError {
  const { what, where, todo } =
    error instanceof PartError
      ? error
      : {
          what: safeMessage(error),
          where: 'the servers that prove has started',
          todo: 'See whether this machine has memory and disk left.',
        };
  const again = `${todo} Repeat the run: ${repeat}`;
  return new PartError(
    { what: `prove could not judge seed ${seed}: ${what}`, where, todo: again },
    { cause: error },
  );
}

interface Judgement extends Comparison {
  readonly books: readonly string[];
  readonly unverified: readonly string[];
}

/** Whether a run did what the one without faults did. */
export function hasFailed({ lost, doubled, balanced, verified, problem }: ProvedRun): boolean {
  return lost > 0 || doubled > 0 || !balanced || !verified || problem !== undefined;
}

function reportOf(runs: readonly ProvedRun[], happened: ReadonlyMap<FaultPlace, number>): ProveReport {
  return {
    runs: runs.length,
    lost: runs.reduce((sum, { lost }) => sum + lost, 0),
    doubled: runs.reduce((sum, { doubled }) => sum + doubled, 0),
    balanced: runs.every(({ balanced }) => balanced),
    verified: runs.every(({ verified }) => verified),
    faultPoints: Object.fromEntries(happened),
    failedSeeds: runs
      .filter(hasFailed)
      .map(({ seed }) => seed)
      .toSorted((a, b) => a - b),
  };
}

/** Does something for each run, so many at a time. When it fails for one, no more are begun, and the others end. */
async function eachOf<Run>(
  runs: readonly Run[],
  atATime: number,
  work: (run: Run) => Promise<void>,
): Promise<void> {
  const left = [...runs];
  const worker = async () => {
    for (let run = left.shift(); run !== undefined; run = left.shift()) await work(run);
  };
  // Whoever stops the stack must find nobody at work on it: a run that is left to itself keeps the process alive.
  const ends = await Promise.allSettled(
    Array.from({ length: Math.min(atATime, runs.length) }, () =>
      worker().catch((error: unknown) => {
        left.length = 0;
        throw error;
      }),
    ),
  );
  const failed = ends.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

async function clockOf(databaseUrl: string): Promise<Date> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    return rows[0]?.now ?? new Date();
  });
}
