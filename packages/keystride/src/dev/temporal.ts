import path from 'node:path';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { PartError, givenPart, type Part } from './part.ts';
import { freePort } from './ports.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';
import { temporalBinary } from './temporal-binary.ts';

/** A Temporal server with its namespace. */
export interface TemporalPart extends Part {
  address: string;
  namespace: string;
  /** Undefined when a given server did not say. */
  uiUrl: string | undefined;
}

/** Where the development server keeps its things. */
export interface TemporalOptions {
  home: string;
  cache: string;
  /** Keeps nothing on disk: somewhat faster, and a restart forgets everything. */
  inMemory: boolean;
  preferredPorts?: { server: number; ui: number };
  /** Where the UI has payloads decrypted. @default nowhere */
  codecEndpoint?: string | undefined;
  owner: ProcessOwner;
  report: Reporter;
}

/** The search attributes that jobs set, as `temporal server start-dev` wants them. */
const searchAttributes = [
  'KeystrideJob=Keyword',
  'KeystrideStatus=Keyword',
  'KeystrideSkipped=Int',
  'KeystrideBusinessDate=Datetime',
];

/** With a write-ahead log a transaction waits for no disk, and is still there after the server was killed. */
const pragmas = ['journal_mode=wal', 'synchronous=normal'];

/**
 * A server looks for work that it has for itself at most 20 times a second in each shard. One in production has hundreds
 * of shards; this one has one, for all workflows, and would let each workflow task wait for 30 ms.
 */
const dynamicConfig = ['history.transferProcessorMaxPollRPS=1000', 'history.timerProcessorMaxPollRPS=1000'];

/**
 * Starts Temporal's development server with its UI.
 * @throws PartError when the CLI cannot be had or the server does not come up
 */
export async function startTemporal(options: TemporalOptions): Promise<TemporalPart> {
  const { home, report } = options;
  const binary = await temporalBinary(options.cache, (text) => report.step(text));
  const port = await freePort(options.preferredPorts?.server);
  const uiPort = await freePort(options.preferredPorts?.ui);
  const address = `127.0.0.1:${port}`;
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  const server = new ServerProcess(
    {
      name: 'temporal',
      command: binary.path,
      arguments: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port)],
        ...['--headless=false', '--ui-port', String(uiPort), '--log-level', 'warn'],
        ...(options.codecEndpoint === undefined ? [] : ['--ui-codec-endpoint', options.codecEndpoint]),
        ...(options.inMemory ? [] : ['--db-filename', path.join(home, 'temporal.db')]),
        ...pragmas.flatMap((pragma) => ['--sqlite-pragma', pragma]),
        ...dynamicConfig.flatMap((setting) => ['--dynamic-config-value', setting]),
        ...searchAttributes.flatMap((attribute) => ['--search-attribute', attribute]),
      ],
      environment: withoutTemporalSettings(process.env),
      logFile: path.join(home, 'logs', 'temporal.log'),
      probe: () => probeTemporal({ address }, 'default'),
      readyWithinMs: 60_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
      tryAgainAfter: /address already in use|database is locked/,
    },
    options.owner,
  );
  await server.start();
  report.up(`server at ${address}, UI at ${uiUrl}`);
  return {
    url: address,
    address,
    namespace: 'default',
    uiUrl,
    origin: binary.origin,
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    restart: () => server.restart(),
    stop: () => server.stop(),
  };
}

/** A Temporal server that the environment or `temporal.toml` names. */
export interface GivenTemporal {
  address: string;
  namespace: string;
  connectionOptions: ConnectionOptions;
}

/**
 * Checks a given server: reachable, and the namespace is there.
 * @throws PartError when it does not answer within ten seconds
 */
export async function useTemporal(
  given: GivenTemporal,
  uiUrl: string | undefined,
  report: Reporter,
): Promise<TemporalPart> {
  try {
    await probeTemporal({ ...given.connectionOptions, connectTimeout: 10_000 }, given.namespace);
  } catch (error) {
    throw new PartError(
      {
        what: `Temporal does not answer for namespace ${given.namespace}: ${messageOf(error)}`,
        where: given.address,
        todo: 'Start it, correct TEMPORAL_ADDRESS or temporal.toml, or unset them to have one started.',
      },
      { cause: error },
    );
  }
  report.up(`using ${given.address}, namespace ${given.namespace}`);
  return {
    ...givenPart(given.address, given.address),
    address: given.address,
    namespace: given.namespace,
    uiUrl,
  };
}

/** The environment without what would point a program at another Temporal than ours. */
export function withoutTemporalSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

async function probeTemporal(options: ConnectionOptions, namespace: string): Promise<void> {
  // Not Connection.connect: when that fails nobody can close what it opened, and its retries keep the process alive.
  const connection = Connection.lazy({ connectTimeout: 2_000, ...options });
  try {
    await connection.ensureConnected();
    await connection.withDeadline(Date.now() + 10_000, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
  } finally {
    await connection.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
