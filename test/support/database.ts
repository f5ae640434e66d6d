import { randomBytes } from 'node:crypto';
import { inject, TestRunner } from 'vitest';
import { withoutCredentials } from '../../packages/keystride/src/settings/environment.ts';
import { cloneDatabase, type DatabaseKind, dropDatabase } from './templates.ts';

/** A database that one test, or one file of tests, has to itself. */
export interface TestDatabase {
  url: string;
  /** Drops it; after a failed test it stays where the server stays: where `DATABASE_URL` names it. */
  drop(): Promise<void>;
}

/** Makes a database of a kind, with all its tables, empty. */
export function testDatabase(kind: DatabaseKind): Promise<TestDatabase> {
  const { databaseUrl, templates } = inject('sharedStack');
  return cloneOf(templates[kind], kind, databaseUrl);
}

/** Makes a database without any table. */
export function emptyDatabase(): Promise<TestDatabase> {
  return cloneOf('template1', 'empty', inject('sharedStack').databaseUrl);
}

async function cloneOf(template: string, kind: string, databaseUrl: string): Promise<TestDatabase> {
  const name = `keystride_test_${kind}_${randomBytes(5).toString('hex')}`;
  const url = await cloneDatabase(databaseUrl, template, name);
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
