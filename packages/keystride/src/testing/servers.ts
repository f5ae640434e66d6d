import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { OnProgress } from '../dev/progress.ts';
import { partsOf, startStack } from '../dev/stack.ts';
import type { Project } from '../project/project.ts';
import { cacheOf } from '../settings/places.ts';
import { withoutCredentials } from '../settings/environment.ts';
import {
  cloneDatabase,
  createTemplates,
  type DatabaseKind,
  dropDatabase,
  dropTemplates,
  type TemplateDatabases,
} from './databases.ts';

/** Servers that many worlds share. Plain data: another process may work with them. */
export interface TestServers {
  readonly temporalAddress: string;
  /** A server where databases may be made; the database that it names is never touched. */
  readonly databaseUrl: string;
  /** Undefined for a project without MongoDB. */
  readonly mongodbUrl: string | undefined;
  /** Fetched and built programs. */
  readonly cache: string;
  /** A directory for the workflow bundles of this run. */
  readonly bundles: string;
  readonly templates: TemplateDatabases;
}

/** Servers that are up, until they are stopped or this process ends. */
export interface RunningServers {
  readonly servers: TestServers;
  stop(): Promise<void>;
}

/** A database that one world, or one test, has to itself. */
export interface TestDatabase {
  readonly url: string;
  /** Drops it, or says where it is kept. */
  drop(options?: { readonly keep?: boolean }): Promise<void>;
}

/** The variables that name parts; whichever is set is used instead of a part of ours. */
const addressVariables = ['TEMPORAL_ADDRESS', 'DATABASE_URL', 'MONGODB_URL'] as const;

/** Whether the environment names a server to test on. */
function namesServers(env: NodeJS.ProcessEnv = process.env): boolean {
  return addressVariables.some((name) => env[name]);
}

/**
 * Brings up the servers of a project, with a migrated database of each kind for worlds to clone. Those that
 * `TEMPORAL_ADDRESS`, `DATABASE_URL` and `MONGODB_URL` name are used as they are.
 * @throws PartError when a server cannot be had or does not come up; whatever did come up is ended first
 */
export async function startTestServers(project: Project, onProgress?: OnProgress): Promise<RunningServers> {
  const ends: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return { servers: await startParts(project, ends, onProgress), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** When this process dies before the end, however it dies, the stack's watchdog ends the parts. */
async function startParts(
  project: Project,
  ends: (() => unknown)[],
  onProgress?: OnProgress,
): Promise<TestServers> {
  const cache = cacheOf(process.env);
  const stack = await startStack({
    ...(namesServers() ? { home: ownHome(ends) } : { ephemeral: true }),
    cache,
    parts: partsOf(project),
    // What these servers hold goes with them, and tests kill servers, not machines.
    postgresFsync: false,
    ...(onProgress && { onProgress }),
  });
  ends.push(() => stack.stop());
  const { temporalAddress, databaseUrl, mongodbUrl } = stack.info;
  const templates = await createTemplates(project, databaseUrl);
  ends.push(() => dropTemplates(databaseUrl, templates));
  const bundles = mkdtempSync(path.join(tmpdir(), 'keystride-bundles-'));
  ends.push(() => rmSync(bundles, { recursive: true, force: true }));
  return { temporalAddress, databaseUrl, mongodbUrl, cache, bundles, templates };
}

/**
 * A home for the parts that the environment does not name. A `temporal.toml` in the user's home names no part here:
 * a profile meant for production must not be what tests run against.
 */
function ownHome(ends: (() => unknown)[]): string {
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-test-'));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  // Open for passing through: PostgreSQL may run as another user.
  chmodSync(home, 0o711);
  process.env['TEMPORAL_CONFIG_FILE'] ??= path.join(home, 'no-temporal.toml');
  return home;
}

/** Makes a database of a kind with all its tables, empty. */
export function cloneOf(servers: TestServers, kind: DatabaseKind): Promise<TestDatabase> {
  return databaseFrom(servers, servers.templates[kind], kind);
}

/** Makes a database with the content of another one of the server. @param mark is a part of its name */
export async function databaseFrom(
  { databaseUrl }: TestServers,
  template: string,
  mark: string,
): Promise<TestDatabase> {
  const name = `keystride_test_${mark}_${randomBytes(5).toString('hex')}`;
  const url = await cloneDatabase(databaseUrl, template, name);
  return {
    url,
    drop: async ({ keep = false } = {}) => {
      // A server that ends with the run would take it along.
      if (keep && process.env['DATABASE_URL']) console.log(`kept: ${withoutCredentials(url)}`);
      else await dropDatabase(databaseUrl, name);
    },
  };
}
