import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { codecServerPort } from '../settings/codec-server-settings.ts';
import { consolePort } from '../settings/console-settings.ts';
import { loadConfig, type Addresses } from '../settings/config.ts';
import { cacheOf, homeOf } from '../settings/places.ts';
import { migrationsOf, type Project, stubsOf } from '../project/project.ts';
import { composeParts, type AllParts, type StartedParts } from './compose.ts';
import { type OwnServer, type OwnServerOptions, startOwnServer } from './own-server.ts';
import { Ownership } from './ownership.ts';
import { PartError, type Part, type PartName } from './part.ts';
import { freePort } from './ports.ts';
import { reporterOf, type OnProgress, type Reporter } from './progress.ts';
import type { StackAddresses } from '../settings/stack-addresses.ts';
import type { StubKind } from './stub.ts';
import { withoutTemporalSettings } from './temporal.ts';
import { startWorker, type WorkerProcess } from './workers.ts';
import { workflowBundle } from './workflow-bundle.ts';

interface AddressesOfPart {
  temporal: 'temporalAddress' | 'temporalNamespace';
  postgres: 'databaseUrl' | 'sourceDatabaseUrl';
  mongodb: 'mongodbUrl';
}

/** Where a stack answers; an address is sure to be there when its part was asked for. */
export type StackInfo<P extends PartName = PartName> = Partial<StackAddresses> &
  Pick<StackAddresses, AddressesOfPart[P]> & { home: string; workers: { pid: number }[] };

/** What to bring up. */
export interface StackOptions<P extends PartName = PartName> {
  /** State, data and logs. @default from the environment, see `homeOf` */
  home?: string;
  /** Fetched and built programs, shared between homes. @default from the environment, see `cacheOf` */
  cache?: string;
  /** @default all that the project needs; without a project, Temporal and PostgreSQL */
  parts?: readonly P[];
  /** Whose stubs come up too, and whose workers can be started; its migrations are applied. @default nobody's */
  project?: Project;
  /** Worker processes of the project. @default 0 */
  workers?: number;
  /** The console too, and the codec server where the environment has keys. @default false */
  console?: boolean;
  /** Options of the stubs, by name. */
  stubArguments?: Readonly<Record<string, readonly string[]>>;
  /** Temporal keeps nothing on disk; its `restart` forgets everything. @default false */
  temporalInMemory?: boolean;
  /** A commit of PostgreSQL waits for the disk. What did not wait outlives the server, not the machine. @default true */
  postgresFsync?: boolean;
  /** A home of its own that goes at the end, ports of its own, and nothing that the environment names. */
  ephemeral?: boolean;
  /** What may name parts that run already, the home and the cache. @default process.env */
  environment?: NodeJS.ProcessEnv;
  onProgress?: OnProgress;
}

/** A running stack, owned by this process: when it dies, however it dies, so does the stack. */
export interface Stack<P extends PartName = PartName> {
  /** Addresses and workers as they are now. */
  readonly info: StackInfo<P>;
  readonly parts: Pick<AllParts, P>;
  /** By name. */
  readonly stubs: Readonly<Record<string, Part>>;
  readonly workers: readonly WorkerProcess[];
  readonly ownership: Ownership;
  /**
   * Starts one more worker and waits until it polls.
   * @param environment added to the addresses of the stack
   */
  addWorker(environment?: NodeJS.ProcessEnv): Promise<WorkerProcess>;
  /** Starts every part again that has died. */
  revive(): Promise<void>;
  /** Ends all that was started, workers first; a second call waits for the first. */
  stop(): Promise<void>;
}

/**
 * Brings up a development stack: each part as the environment names it, else found, fetched or built, and started.
 * @throws PartError when a part cannot be had or does not come up; whatever did come up is ended first
 * @throws ConfigError when a setting is malformed
 */
export async function startStack<const P extends PartName = PartName>(
  options: StackOptions<P> = {},
): Promise<Stack<P>> {
  const onProgress = options.onProgress ?? (() => {});
  const environment = options.environment ?? process.env;
  const report = reporterOf('stack', onProgress);
  const home = options.ephemeral ? temporaryHome() : path.resolve(options.home ?? homeOf(environment));
  const given = options.ephemeral ? {} : loadConfig(environment);
  mkdirSync(path.join(home, 'logs'), { recursive: true });
  const ownership = await Ownership.take(
    home,
    (names) => names.length > 0 && report.note(`ended what an earlier stack left: ${names.join(', ')}`),
    (name) => onProgress({ part: name, text: `ended by itself; see ${path.join(home, 'logs')}` }),
  );
  if (options.ephemeral) ownership.removeAtTheEnd(home);
  const stack = new OwnedStack(home, ownership, given, { ...options, onProgress });
  try {
    await stack.start(options.workers ?? 0);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  // The parts that were asked for are there, or start() has thrown: more than the compiler can follow.
  return stack as unknown as Stack<P>;
}

class OwnedStack {
  readonly ownership: Ownership;
  readonly workers: WorkerProcess[] = [];
  readonly #started: StartedParts = { parts: {}, stubs: {} };
  readonly #home: string;
  readonly #cache: string;
  readonly #given: Partial<Addresses>;
  readonly #options: StackOptions & { onProgress: OnProgress };
  #bundle: Promise<string> | undefined;
  #console: OwnServer | undefined;
  #codecServer: OwnServer | undefined;
  #workersEver = 0;
  #stopping: Promise<void> | undefined;

  constructor(
    home: string,
    ownership: Ownership,
    given: Partial<Addresses>,
    options: StackOptions & { onProgress: OnProgress },
  ) {
    this.#home = home;
    this.ownership = ownership;
    this.#options = options;
    const environment = options.environment ?? process.env;
    const chosenHome = options.home !== undefined && !environment['KEYSTRIDE_CACHE'];
    this.#cache = options.cache ?? (chosenHome ? path.join(home, 'cache') : cacheOf(environment));
    this.#given = given;
  }

  get parts(): Partial<AllParts> {
    return this.#started.parts;
  }

  get stubs(): Readonly<Record<string, Part>> {
    return this.#started.stubs;
  }

  get info(): Partial<StackAddresses> & { home: string; workers: { pid: number }[] } {
    const pids = this.workers.flatMap(({ pid }) => (pid === undefined ? [] : [{ pid }]));
    return { ...this.#addresses(), home: this.#home, workers: pids };
  }

  async start(workers: number): Promise<void> {
    const {
      onProgress,
      parts = partsOf(this.#options.project),
      stubArguments = {},
      ephemeral = false,
      temporalInMemory = false,
      postgresFsync = true,
    } = this.#options;
    if (workers > 0) this.#bundle = this.#buildBundle();
    this.#bundle?.catch(() => {});
    // Temporal's UI is told of it before it runs.
    const codecPort = this.#encrypts ? await freePort(codecServerPort) : undefined;
    await composeParts(
      {
        home: this.#home,
        cache: this.#cache,
        given: this.#given,
        parts,
        stubs: this.#stubKinds,
        migrations: this.#options.project ? migrationsOf(this.#options.project) : [],
        stubArguments,
        environment: ephemeral ? {} : (this.#options.environment ?? process.env),
        standardPorts: !ephemeral,
        temporalInMemory,
        postgresFsync,
        codecEndpoint: codecPort === undefined ? undefined : `http://127.0.0.1:${codecPort}`,
        owner: this.ownership,
        onProgress,
      },
      this.#started,
    );
    const report = reporterOf('workers', onProgress);
    await Promise.all([
      this.#startConsole(),
      this.#startCodecServer(codecPort),
      ...Array.from({ length: workers }, () => this.addWorker()),
    ]);
    if (workers > 0) report.up(`${workers} polling`);
    this.ownership.up(this.#addresses());
  }

  async addWorker(environment: NodeJS.ProcessEnv = {}): Promise<WorkerProcess> {
    this.#bundle ??= this.#buildBundle();
    const number = ++this.#workersEver;
    const worker = await startWorker({
      home: this.#home,
      name: `worker-${number}`,
      environment: { ...this.#workerEnvironment(await this.#bundle), ...environment },
      owner: this.ownership,
    });
    this.workers.push(worker);
    return worker;
  }

  async revive(): Promise<void> {
    const { temporal, mongodb } = this.parts;
    const ours = [this.#started.ourPostgres, temporal, ...Object.values(this.stubs), mongodb].filter(
      (part) => part !== undefined,
    );
    for (const part of ours) if (part.origin !== 'given' && part.pid === undefined) await part.restart();
    for (const server of [this.#console, this.#codecServer])
      if (server?.pid === undefined) await server?.restart();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    const { temporal, mongodb } = this.parts;
    await Promise.all([
      this.#console?.stop(),
      this.#codecServer?.stop(),
      ...this.workers.map((worker) => worker.stop()),
    ]);
    const others = [mongodb, ...Object.values(this.stubs), temporal].filter((part) => part !== undefined);
    await Promise.all(others.map((part) => part.stop()));
    await this.#started.ourPostgres?.stop();
    this.ownership.release();
  }

  async #startConsole(): Promise<void> {
    if (!this.#options.console) return;
    this.#console = await this.#startOwnServer('console', await freePort(consolePort));
  }

  /** Payloads are encrypted here, and the Temporal that has them is ours. */
  get #encrypts(): boolean {
    const { console: wanted = false, environment = process.env } = this.#options;
    return wanted && this.#given.temporal === undefined && loadConfig(environment).encryption !== undefined;
  }

  async #startCodecServer(port: number | undefined): Promise<void> {
    if (port !== undefined) this.#codecServer = await this.#startOwnServer('codec-server', port);
  }

  #startOwnServer(name: OwnServerOptions['name'], port: number): Promise<OwnServer> {
    const { project, onProgress } = this.#options;
    return startOwnServer({
      name,
      port,
      home: this.#home,
      environment: { ...this.#partsEnvironment(), ...(project && { KEYSTRIDE_CONFIG: project.file }) },
      owner: this.ownership,
      report: reporterOf(name, onProgress),
    });
  }

  #buildBundle(): Promise<string> {
    const report: Reporter = reporterOf('workers', this.#options.onProgress);
    return workflowBundle(this.#project, this.#cache, report);
  }

  get #project(): Project {
    if (this.#options.project !== undefined) return this.#options.project;
    throw new PartError({
      what: 'there are no jobs for a worker',
      where: process.cwd(),
      todo: 'Run this in a project with a keystride.config.ts.',
    });
  }

  get #stubKinds(): readonly StubKind[] {
    const { project } = this.#options;
    return project ? stubsOf(project) : [];
  }

  /** Where the stubs listen, by variable. */
  #stubAddresses(): Record<string, string> {
    return Object.fromEntries(
      this.#stubKinds.flatMap(({ name, variable }) => {
        const url = this.stubs[name]?.url;
        return url === undefined ? [] : [[variable, url]];
      }),
    );
  }

  #addresses(): Partial<StackAddresses> {
    const { temporal, postgres, mongodb } = this.parts;
    return {
      ...(temporal && { temporalAddress: temporal.address, temporalNamespace: temporal.namespace }),
      ...(temporal?.uiUrl !== undefined && { temporalUiUrl: temporal.uiUrl }),
      ...(postgres && { databaseUrl: postgres.url, sourceDatabaseUrl: postgres.sourceUrl }),
      ...(mongodb && { mongodbUrl: mongodb.url }),
      ...(this.#console && { consoleUrl: this.#console.url }),
      ...(this.#codecServer && { codecServerUrl: this.#codecServer.url }),
      stubs: this.#stubAddresses(),
    };
  }

  /** A given Temporal keeps its TLS and its key; ours must not be reached with somebody else's. */
  #partsEnvironment(): NodeJS.ProcessEnv {
    const { temporal, postgres, mongodb } = this.parts;
    const forTemporal =
      temporal === undefined || temporal.origin === 'given'
        ? process.env
        : {
            ...withoutTemporalSettings(process.env),
            TEMPORAL_ADDRESS: temporal.address,
            TEMPORAL_NAMESPACE: temporal.namespace,
            // A file that is not there: an empty one is an error to the library that reads it.
            TEMPORAL_CONFIG_FILE: path.join(this.#home, 'no-temporal.toml'),
            TEMPORAL_UI_URL: temporal.uiUrl,
          };
    return {
      ...forTemporal,
      DATABASE_URL: postgres?.url,
      SOURCE_DATABASE_URL: postgres?.sourceUrl,
      MONGODB_URL: mongodb?.url,
      ...this.#stubAddresses(),
      KEYSTRIDE_HOME: this.#home,
      KEYSTRIDE_CACHE: this.#cache,
    };
  }

  #workerEnvironment(bundle: string): NodeJS.ProcessEnv {
    return {
      ...this.#partsEnvironment(),
      KEYSTRIDE_CONFIG: this.#project.file,
      KEYSTRIDE_WORKFLOW_BUNDLE: bundle,
    };
  }
}

/** The servers that a project's jobs work with. */
export function partsOf(project: Project | undefined): readonly PartName[] {
  return ['temporal', 'postgres', ...(project?.config.dev?.mongodb ? (['mongodb'] as const) : [])];
}

/** Open for passing through: PostgreSQL may run as another user. */
function temporaryHome(): string {
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-'));
  chmodSync(home, 0o711);
  return home;
}
