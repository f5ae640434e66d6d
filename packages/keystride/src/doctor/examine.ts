import { Client } from '@temporalio/client';
import { refuseTwoCopies } from '../host/package-copies.ts';
import type { RegisteredJob } from '../job/registry.ts';
import { Ledger } from '../ledger/ledger.ts';
import { addressesOfStack } from '../dev/settings.ts';
import {
  loadJobs,
  loadProject,
  loadWorkerDefinition,
  migrationsOf,
  type Project,
  projectFile,
} from '../project/project.ts';
import type { WorkerDefinition } from '../project/worker-definition.ts';
import type { Config } from '../settings/config.ts';
import { allTaskQueues } from '../settings/task-queues.ts';
import { allowPrivateHosts } from '../stores/http/private-hosts.ts';
import {
  connectionsLeft,
  type Database,
  databaseClock,
  horizonHolders,
  mayWatch,
  serverVersion,
  takesWrites,
} from './database.ts';
import { freeDisk, remoteDisk } from './disk.ts';
import { failed, type Finding, looked, ok, warn } from '../operator/finding.ts';
import { ledgerGrants, ledgerLevel, ledgerMigrations, projectMigrations, retentionOf } from './ledger.ts';
import { asDatabase, reachDatabase, reachResource, reachTemporal } from './parts.ts';
import { partitionsFit } from './partitions.ts';
import { readersOf } from './readers.ts';
import {
  type Namespace,
  retentionSeconds,
  searchAttributesIn,
  temporalClock,
  type ServedQueue,
  servedQueue,
  temporalVersion,
  workersOf,
} from './temporal.ts';

/** What to look at, and whether to put right what can be. */
export interface Examination {
  readonly config: Config;
  /** Of keystride, for the first line. */
  readonly version: string;
  /** Registers search attributes that are missing. */
  readonly fix: boolean;
}

/** What the parts of a project are found to be like: everything that a run needs, each with what to do. */
export async function examine({ config, version, fix }: Examination): Promise<readonly Finding[]> {
  const versions = ok('versions', `keystride ${version} on Node ${process.versions.node}`);
  const [temporal, database] = await Promise.all([reachTemporal(config), reachDatabase(config)]);
  try {
    const known = await inTemporal(temporal.part, config, fix);
    const workers = Math.max(...known.queues.map(({ pollers }) => pollers.length), 0);
    return [
      versions,
      temporal.finding,
      database.finding,
      ...known.findings,
      ...(database.part ? await inLedger(database.part, { config, workers, temporal: temporal.part }) : []),
    ];
  } finally {
    await Promise.allSettled([temporal.close(), database.close()]);
  }
}

async function inTemporal(
  part: Namespace | undefined,
  config: Config,
  fix: boolean,
): Promise<{ readonly findings: readonly Finding[]; readonly queues: readonly ServedQueue[] }> {
  if (part === undefined) return { findings: [], queues: [] };
  const client = new Client(part);
  const queues: ServedQueue[] = [];
  const workers = await Promise.all(
    allTaskQueues(config).map((queue) =>
      looked('workers', async () => {
        const found = await servedQueue(client, queue);
        queues.push(found);
        return workersOf(found);
      }),
    ),
  );
  const findings = [
    ...(await looked('versions', () => temporalVersion(part))),
    ...(await looked('clock', () => Promise.resolve(temporalClock(queues)))),
    ...(await looked('search attributes', () => searchAttributesIn(part, fix))),
    ...workers.flat(),
  ];
  return { findings, queues };
}

interface Around {
  readonly config: Config;
  readonly workers: number;
  readonly temporal: Namespace | undefined;
}

async function inLedger(part: Database, around: Around): Promise<readonly Finding[]> {
  const { config, temporal } = around;
  const { pool } = part;
  const ledger = [
    looked('writes', () => takesWrites(part)),
    looked('migrations', () => ledgerMigrations(pool)),
    looked('level', () => ledgerLevel(pool)),
    looked('grants', () => ledgerGrants(pool)),
    ...(temporal
      ? [
          looked('retention', async () =>
            retentionOf(pool, await retentionSeconds(temporal), temporal.namespace),
          ),
        ]
      : []),
    looked('disk', () =>
      config.databaseUrl === addressesOfStack()['DATABASE_URL'] ? freeDisk(config.home) : remoteDisk(pool),
    ),
  ];
  const own = await inDatabase(part, around);
  return [...own, ...(await Promise.all(ledger)).flat(), ...(await inProject(part, around))];
}

/** What holds of any database that jobs work with. */
async function inDatabase(
  database: Database,
  { config, workers }: Pick<Around, 'config' | 'workers'>,
): Promise<readonly Finding[]> {
  const { connections } = config;
  const watched = (config.health.replicationLagSeconds ?? config.health.activeConnections) !== undefined;
  const found = await Promise.all([
    looked('versions', () => serverVersion(database)),
    looked('clock', () => databaseClock(database)),
    looked('connections', () => connectionsLeft(database, { connections, workers })),
    looked('grants', () => mayWatch(database, watched)),
    looked('horizon', () => horizonHolders(database)),
  ]);
  return found.flat();
}

/** What the project's configuration adds: its tables, the resources of its workers, the readers of its jobs. */
async function inProject(database: Database, around: Around): Promise<readonly Finding[]> {
  if (projectFile() === undefined)
    return [
      warn(
        'project',
        'there is no keystride.config.ts here: neither resources nor readers were looked at',
        'Run it in a project.',
      ),
    ];
  try {
    const project = await loadProject();
    refuseTwoCopies(project.file);
    return [
      ...(await ownMigrations(project, database)),
      partitionsFit(await loadJobs(project), {
        connections: around.config.connections,
        workers: around.workers,
      }),
      ...(await inWorkers(await loadWorkerDefinition(project), database, around)),
    ];
  } catch (error) {
    return [failed('project', error)];
  }
}

async function ownMigrations(project: Project, { pool }: Database): Promise<readonly Finding[]> {
  const sets = migrationsOf(project).filter(({ database = 'DATABASE_URL' }) => database === 'DATABASE_URL');
  const found = await Promise.all(
    sets.map((set) => looked('migrations', () => projectMigrations(pool, set))),
  );
  return found.flat();
}

async function inWorkers(
  definition: WorkerDefinition,
  database: Database,
  around: Around,
): Promise<readonly Finding[]> {
  const names = Object.keys(definition.resources);
  allowPrivateHosts(around.config.privateHosts);
  const reached = await Promise.all(
    names.map((name) => reachResource(name, definition, database.pool, around.config)),
  );
  try {
    const databases = reached.flatMap(({ part }, index) => asDatabase(names[index] ?? '', part));
    const own = await Promise.all(databases.map((each) => inDatabase(each, around)));
    const away = names.filter((_, index) => reached[index]?.answers !== true);
    const opened = Object.fromEntries(names.map((name, index) => [name, reached[index]?.part]));
    const readers =
      away.length > 0
        ? [warn('readers', `not looked at, since ${away.join(', ')} cannot be reached`, 'See above.')]
        : await inReaders(definition.jobs({ ...opened, database: database.pool }), database, around);
    return [...reached.map(({ finding }) => finding), ...own.flat(), ...readers];
  } finally {
    await Promise.allSettled(reached.map(({ close }) => close()));
  }
}

async function inReaders(
  jobs: readonly RegisteredJob[],
  { pool }: Database,
  { config: { encryption } }: Around,
): Promise<readonly Finding[]> {
  const ledger = new Ledger(pool);
  const found: Finding[] = [];
  for (const job of jobs)
    found.push(...(await looked('readers', () => readersOf(job, ledger, encryption?.hashKey))));
  return found.some(({ mark }) => mark !== 'ok')
    ? found
    : [...found, ok('readers', 'every key that readers page by has its index, and none may be null')];
}
