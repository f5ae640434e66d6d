import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { cacheOf } from '../../packages/keystride/src/settings/config.ts';
import { progressText } from '../../packages/keystride/src/dev/progress.ts';
import { startStack } from '../../packages/keystride/src/dev/stack.ts';
import { addressVariables } from './address-variables.ts';
import { createTemplates, dropTemplates, type TemplateDatabases } from './templates.ts';

/** Where the real parts answer, for all test files of a run. */
export interface SharedStack {
  temporalAddress: string;
  /** A server where databases may be made; the database that it names is never touched. */
  databaseUrl: string;
  mongodbUrl: string;
  cache: string;
  /** A directory for the workflow bundles of this run. */
  bundles: string;
  templates: TemplateDatabases;
}

declare module 'vitest' {
  interface ProvidedContext {
    sharedStack: SharedStack;
  }
}

interface Running {
  shared: SharedStack;
  stop: () => Promise<void>;
}

/**
 * One stack for all projects of a run. Each project has its setup evaluated in a module graph of its own, so it is
 * kept where they all see it.
 */
const holder = globalThis as typeof globalThis & {
  keystrideTestStack?: { run: Promise<Running>; users: number };
};

/** Brings the parts up once a run, and ends them when the last project is done. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const held = (holder.keystrideTestStack ??= { run: bringUp(), users: 0 });
  held.users++;
  const { shared, stop } = await held.run;
  project.provide('sharedStack', shared);
  return async () => {
    held.users--;
    if (held.users > 0) return;
    delete holder.keystrideTestStack;
    await stop();
  };
}

/** When this process dies before the end, however it dies, the stack's watchdog ends the parts. */
async function bringUp(): Promise<Running> {
  const ends: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return { shared: await startParts(ends), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(ends: (() => unknown)[]): Promise<SharedStack> {
  const cache = cacheOf(process.env);
  const given = addressVariables.some((name) => process.env[name]);
  const stack = await startStack({
    ...(given ? { home: ownHome(ends) } : { ephemeral: true }),
    cache,
    parts: ['temporal', 'postgres', 'mongodb'],
    onProgress: (event) => console.log(progressText(event)),
  });
  ends.push(() => stack.stop());
  const { temporal, postgres, mongodb } = stack.parts;
  const templates = await createTemplates(postgres.url);
  ends.push(() => dropTemplates(postgres.url, templates));
  const bundles = mkdtempSync(path.join(tmpdir(), 'keystride-bundles-'));
  ends.push(() => rmSync(bundles, { recursive: true, force: true }));
  return {
    temporalAddress: temporal.address,
    databaseUrl: postgres.url,
    mongodbUrl: mongodb.url,
    cache,
    bundles,
    templates,
  };
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
