import { chunks, type StepsOf } from 'keystride';
import { keysetReader } from 'keystride/postgres';
import type { documentMigration } from '../../contract/document-migration.ts';
import { migration } from '../../../packages/keystride/src/stores/postgres/sql.ts';
import type { Resources } from '../../resources.ts';
import { documentOf, type MigratedDocument, type Target } from './document.ts';
import { expectedFault } from './expected-faults.ts';
import { recordExpected, recordMigrated, storeExtracts } from './store.ts';
import { compareDocuments } from './verify.ts';

export const documentMigrationSteps = (resources: Resources): StepsOf<typeof documentMigration> => ({
  fetchAndStore: () =>
    chunks<Target, MigratedDocument>({
      reader: keysetReader({
        pool: resources.database,
        query: migration
          .selectFrom('migration_target')
          .select(['id', 'ticket_key'])
          .where('migrated', '=', false),
        // A skipped target is marked as migrated, so that no run tries it again.
        again: migration.selectFrom('migration_target').select(['id', 'ticket_key']),
        table: 'migration_target',
        key: ['id'],
      }),
      processor: async (target, context) => {
        try {
          const body = await resources.legacyApi.sentences(target.ticket_key, context);
          return documentOf(target, body, resources.largestDocument);
        } catch (error) {
          throw expectedFault(error) ?? error;
        }
      },
      calls: () => resources.legacyApi.calls,
      writer: {
        prepare: (documents, attempt) => storeExtracts(resources.mongo, documents, attempt),
        write: recordMigrated,
      },
      onSkip: recordExpected,
    }),
  verify: () => compareDocuments(resources),
});
