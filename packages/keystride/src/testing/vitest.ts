/** What `keystride/testing` has, for tests that vitest runs: worlds share the servers of the run, see `globalSetup`. */
import { inject, type RunnerTask, TestRunner } from 'vitest';
import type { DatabaseKind } from './databases.ts';
import { cloneOf, type TestDatabase, type TestServers } from './servers.ts';
import { createWorld as createAnyWorld, type World, type WorldOptions } from './world.ts';

export type { DatabaseKind, TestDatabase, TestServers, World, WorldOptions };

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the real parts answer, for all test files of a run. */
    keystride: TestServers;
  }
}

/**
 * Makes a world on the servers of the run. What a test starts in it is ended when that test fails, so that it disturbs
 * none that follows; what is started before the first test belongs to all of them.
 *
 * @throws PartError, and leaves nothing behind then
 */
export function createWorld(options: Omit<WorldOptions, 'servers'> = {}): Promise<World> {
  return createAnyWorld({
    servers: inject('keystride'),
    onStarted: endWhenTestFails,
    keepDatabases: failedSoFar,
    ...options,
  });
}

/**
 * Makes a database with all tables of the project, empty. After a failed test it stays, where the server stays: where
 * `DATABASE_URL` names it.
 */
export async function testDatabase(kind: DatabaseKind = 'target'): Promise<TestDatabase> {
  const { url, drop } = await cloneOf(inject('keystride'), kind);
  return { url, drop: () => drop({ keep: failedSoFar() }) };
}

/**
 * Whether the test that is ending, or one before it in this file, has failed. It is asked of the file, not kept here: a
 * process may run several files, one after the other.
 */
function failedSoFar(): boolean {
  return hasFailed(TestRunner.getCurrentSuite().file);
}

function hasFailed(task: RunnerTask): boolean {
  return task.result?.state === 'fail' || ('tasks' in task && task.tasks.some(hasFailed));
}

/** Has something ended when the present test fails. */
export function endWhenTestFails(end: () => Promise<unknown>): void {
  TestRunner.getCurrentTest()?.context.onTestFailed(async () => {
    // What has ended by itself is no second failure.
    await end().catch(() => undefined);
  });
}
