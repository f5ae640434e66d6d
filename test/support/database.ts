import { type TestDatabase, testDatabase as databaseOfKind } from 'keystride/testing/vitest';

export type { TestDatabase };

/** Makes a database of the jobs with its tables, empty: the service's, which they read, or the one that they write to. */
export function testDatabase(set: 'service' | 'migration'): Promise<TestDatabase> {
  return databaseOfKind(set === 'service' ? 'source' : 'target');
}
