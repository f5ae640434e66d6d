import path from 'node:path';
import { inject } from 'vitest';
import { type DatabaseKind, type TestDatabase, testDatabase } from 'keystride/testing/vitest';
import config from '../../keystride.config.ts';
import type { MigrationSet } from '../../packages/keystride/src/ledger/migrate.ts';
import { migrationsOf } from '../../packages/keystride/src/project/project.ts';
import { databaseFrom } from '../../packages/keystride/src/testing/servers.ts';

export { type TestDatabase, testDatabase };

const root = path.join(import.meta.dirname, '../..');

/** Makes a database without any table. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const { url, drop } = await databaseFrom(inject('keystride'), 'template1', 'empty');
  return { url, drop: () => drop() };
}

/** The migrations of one of the two databases' own tables. */
export function ownMigrations(kind: DatabaseKind): MigrationSet {
  const all = migrationsOf({ root, file: path.join(root, 'keystride.config.ts'), config });
  const found = all.find(({ name }) => name === kind);
  if (found) return found;
  throw new Error(`keystride.config.ts names no migrations ${kind}`);
}
