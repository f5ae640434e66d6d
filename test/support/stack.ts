import path from 'node:path';
import {
  createWorld as createWorldOf,
  type World as AnyWorld,
  type WorldOptions as AnyOptions,
} from 'keystride/testing/vitest';
import { listening, type Listening } from './listening.ts';
import { startMessageProvider } from './message-provider.ts';
import { createLegacyApi } from '../../src/stubs/legacy-api/application.ts';
import { generatedBodies } from '../../src/stubs/legacy-api/bodies.ts';
import { type Options, parseOptions } from '../../src/stubs/legacy-api/options.ts';

export { type TestWorker, waitFor } from 'keystride/testing';

/** What a world is to have. */
export interface WorldOptions extends Pick<AnyOptions, 'ownServers' | 'workerProgram' | 'environment'> {
  /** Arguments of the stub of the legacy API, such as `--latency=200`. */
  legacyApi?: readonly string[];
}

/** The world of the eight jobs. */
export interface World extends AnyWorld {
  /** Where the legacy API answers: a stub in the process of the test, or one of its own where the servers are. */
  readonly legacyApiUrl: string;
  /** Where the message provider answers: a stub in the process of the test. */
  readonly messageProviderUrl: string;
  /** Figures of the legacy API. */
  legacyApiStatistics(): Promise<LegacyApiStatistics>;
}

/** What the stub counts; see `src/stubs/legacy-api/statistics.ts`. */
export interface LegacyApiStatistics {
  calls: number;
  peakInFlight: number;
  keys: number;
  keysCalledMoreThanOnce: number;
  repeatedCalls: number;
}

/** What the stub serves unless told otherwise: most tests are about how many documents there are, not how large. */
const smallDocuments = '--sizes=512B:80,4KiB:20';

const root = path.join(import.meta.dirname, '../..');

/** The worker as users run it. */
export const productWorker = path.join(root, 'src/worker.ts');

/** The worker with the jobs that exist for tests alone. */
export const testJobsWorker = path.join(import.meta.dirname, 'jobs/worker.ts');

/** Makes a world; a test that has failed to make one leaves nothing behind either. */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { legacyApi: words = [], workerProgram = productWorker, ownServers = false } = options;
  const stubArguments = [smallDocuments, ...words];
  const messageProvider = await startMessageProvider();
  const legacyApi = ownServers ? undefined : await startLegacyApi(stubArguments);
  const stopStubs = async () => {
    await messageProvider.stop();
    await legacyApi?.stop();
  };
  const world = await createWorldOf({
    config: path.join(root, 'keystride.config.ts'),
    ownServers,
    workerProgram,
    stubs: { legacyApi: stubArguments },
    environment: {
      MESSAGE_PROVIDER_URL: messageProvider.url,
      ...(legacyApi && { LEGACY_API_URL: legacyApi.url }),
      ...options.environment,
    },
  }).catch(async (error: unknown) => {
    await stopStubs();
    throw error;
  });
  const legacyApiUrl = legacyApi?.url ?? world.stubs['legacyApi']?.url ?? '';
  // The getters of a world refuse what it does not have: they are inherited, not copied.
  return Object.assign(Object.create(world) as AnyWorld, {
    legacyApiUrl,
    messageProviderUrl: messageProvider.url,
    legacyApiStatistics: async () =>
      (await (await fetch(`${legacyApiUrl}/stats`)).json()) as LegacyApiStatistics,
    dispose: async () => {
      await world.dispose();
      await stopStubs();
    },
  });
}

/** A process of its own would take half a second of processor time to start, for each file of tests. */
function startLegacyApi(words: readonly string[]): Promise<Listening> {
  const { seed, sizes, behaviour } = parseOptions(words) as Options;
  return listening(createLegacyApi(seed, generatedBodies(seed, sizes), behaviour));
}
