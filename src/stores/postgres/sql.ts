import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import type { MigrationDatabase, ServiceDatabase } from './schema.ts';

/**
 * A builder of typed SQL that runs nothing itself: what it compiles is executed on the connection that holds the
 * transaction.
 */
function builder<Database>(): Kysely<Database> {
  return new Kysely<Database>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (database) => new PostgresIntrospector(database),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

/** SQL for the service's database, the source. */
export const service = builder<ServiceDatabase>();

/** SQL for the migration's database: the target, and the ledger in it. */
export const migration = builder<MigrationDatabase>();

/** SQL for tables that are named by parameters: all that is known of them is that every column can be text. */
export const namedTables = builder<Record<string, Record<string, string | null>>>();
