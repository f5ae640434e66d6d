import { randomBytes } from 'node:crypto';
import { inject, TestRunner } from 'vitest';
import { withoutCredentials } from '../../packages/keystride/src/settings/environment.ts';
import { cloneDatabase, dropDatabase, type MigrationSet } from './templates.ts';

/** A database that one test, or one file of tests, has to itself. */
export interface TestDatabase {
  url: string;
  /** Drops it; after a failed test it stays where the server stays: where `DATABASE_URL` names it. */
  drop(): Promise<void>;
}

/** Makes a database with all tables of the set, empty. */
export async function testDatabase(set: MigrationSet): Promise<TestDatabase> {
  const { databaseUrl, templates } = inject('sharedStack');
  const name = `keystride_test_${set}_${randomBytes(5).toString('hex')}`;
  const url = await cloneDatabase(databaseUrl, templates[set], name);
  return {
    url,
    drop: async () => {
      if (process.env['DATABASE_URL'] && hasFailed()) console.log(`kept: ${withoutCredentials(url)}`);
      else await dropDatabase(databaseUrl, name);
    },
  };
}

/** Whether the test that is ending, or one before it in this file, has failed. */
function hasFailed(): boolean {
  const ofFile = globalThis as typeof globalThis & { keystrideTestFailed?: boolean };
  return ofFile.keystrideTestFailed === true || TestRunner.getCurrentTest()?.result?.state === 'fail';
}
