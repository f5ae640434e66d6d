import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Db, MongoClient } from 'mongodb';
import { mongoBinary, type MongoBinary } from './mongo-binary.ts';
import { PartError, givenPart, type Part } from './part.ts';
import { freePort } from './ports.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner, type ServerOptions } from './server-process.ts';

/** Where a MongoDB lives, and the database that FerretDB would keep its documents in. */
export interface MongoOptions {
  home: string;
  cache: string;
  preferredPort?: number;
  /** Asked only when it is FerretDB that runs. */
  ferretdbDatabaseUrl: () => Promise<string>;
  owner: ProcessOwner;
  report: Reporter;
}

/** The database that the connection string names, and its name in 0.1.0: data that has that one keeps it. */
const databaseName = 'target';
const formerDatabaseName = 'migration';

/**
 * Starts a MongoDB: `mongod` as a replica set of one, else FerretDB over PostgreSQL.
 * @throws PartError when none can be had or it does not come up
 */
export async function startMongo(options: MongoOptions): Promise<Part> {
  const { home, report } = options;
  const binary = await mongoBinary(options.cache, engineOfData(home), (text) => report.step(text));
  const port = await freePort(options.preferredPort);
  const server =
    binary.engine === 'mongod'
      ? mongodServer(binary, port, home)
      : await ferretdbServer(binary, port, options);
  const running = new ServerProcess({ ...server, ...common(home) }, options.owner);
  await running.start();
  report.up(`${binary.origin} at 127.0.0.1:${port}`);
  const name = await withClient(directUrl(port), 10_000, presentName);
  const suffix = binary.engine === 'mongod' ? `?replicaSet=${replicaSet}` : '';
  return {
    url: `mongodb://127.0.0.1:${port}/${name}${suffix}`,
    origin: binary.origin,
    get pid() {
      return running.pid;
    },
    kill: (signal) => running.kill(signal),
    restart: () => running.restart(),
    stop: () => running.stop(),
  };
}

/**
 * Checks a MongoDB that the environment names.
 * @param shown its address without credentials
 * @throws PartError when it does not answer within ten seconds
 */
export async function useMongo(url: string, shown: string, report: Reporter): Promise<Part> {
  try {
    await withClient(url, 10_000, (client) => client.db().command({ ping: 1 }));
  } catch (error) {
    throw new PartError(
      {
        what: `MongoDB does not answer: ${error instanceof Error ? error.message : String(error)}`,
        where: shown,
        todo: 'Start it, correct MONGODB_URL, or unset it to have one started.',
      },
      { cause: error },
    );
  }
  report.up(`using ${shown}`);
  return givenPart(url, shown);
}

const replicaSet = 'keystride';

type EngineOptions = Omit<ServerOptions, keyof ReturnType<typeof common>>;

function common(home: string) {
  return {
    name: 'mongodb',
    logFile: path.join(home, 'logs', 'mongodb.log'),
    readyWithinMs: 60_000,
    stopSignal: 'SIGTERM',
    stopWithinMs: 10_000,
    tryAgainAfter: /address already in use|shutting down|starting up|connection refused/i,
  } satisfies Partial<ServerOptions>;
}

function mongodServer(binary: MongoBinary, port: number, home: string): EngineOptions {
  const data = mongodData(home);
  mkdirSync(data, { recursive: true });
  return {
    command: binary.path,
    arguments: [
      ...['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1'],
      ...['--replSet', replicaSet, '--wiredTigerCacheSizeGB', '0.5'],
    ],
    environment: process.env,
    probe: () => withClient(directUrl(port), 2_000, becomePrimary(port)),
  };
}

async function ferretdbServer(
  binary: MongoBinary,
  port: number,
  options: MongoOptions,
): Promise<EngineOptions> {
  return {
    command: binary.path,
    arguments: [],
    environment: {
      ...process.env,
      FERRETDB_LISTEN_ADDR: `127.0.0.1:${port}`,
      FERRETDB_POSTGRESQL_URL: await options.ferretdbDatabaseUrl(),
      DO_NOT_TRACK: '1',
    },
    workingDirectory: options.home,
    probe: () =>
      withClient(directUrl(port), 2_000, (client) => client.db(databaseName).listCollections().toArray()),
  };
}

/** Makes the server a replica set of one on this port, and resolves once it takes writes. */
function becomePrimary(port: number): (client: MongoClient) => Promise<void> {
  const member = { _id: 0, host: `127.0.0.1:${port}` };
  return async (client) => {
    const admin = client.db('admin');
    const hello = await admin.command({ hello: 1 });
    if (hello['isWritablePrimary'] === true) return;
    if (hello['isreplicaset'] === true)
      await admin.command({ replSetInitiate: { _id: replicaSet, members: [member] } });
    else if (!(hello['hosts'] as string[] | undefined)?.includes(member.host)) await moveTo(member, admin);
    throw new Error('the replica set has no primary yet');
  };
}

/** A start on another port than last time finds a set that has no member at this one. */
async function moveTo(member: { _id: number; host: string }, admin: Db): Promise<void> {
  const { config } = (await admin.command({ replSetGetConfig: 1 })) as { config: { version: number } };
  const moved = { ...config, version: config.version + 1, members: [member] };
  await admin.command({ replSetReconfig: moved, force: true });
}

async function presentName(client: MongoClient): Promise<string> {
  const { databases } = await client.db().admin().listDatabases({ nameOnly: true });
  return databases.some(({ name }) => name === formerDatabaseName) ? formerDatabaseName : databaseName;
}

async function withClient<T>(
  url: string,
  withinMs: number,
  work: (client: MongoClient) => Promise<T>,
): Promise<T> {
  // A project without MongoDB need not have the driver.
  const mongodb = await import('mongodb');
  const client = new mongodb.MongoClient(url, { serverSelectionTimeoutMS: withinMs });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

function directUrl(port: number): string {
  return `mongodb://127.0.0.1:${port}/?directConnection=true`;
}

function mongodData(home: string): string {
  return path.join(home, 'mongod');
}

function engineOfData(home: string): MongoBinary['engine'] | undefined {
  return existsSync(mongodData(home)) ? 'mongod' : undefined;
}
