import type { documentMigration } from '../../contract/document-migration.ts';
import { chunks } from '../../../packages/keystride/src/job/chunks.ts';
import type { StepsOf } from '../../../packages/keystride/src/job/registry.ts';
import { keysetReader } from '../../../packages/keystride/src/stores/postgres/keyset-reader.ts';
import { target } from '../../tables.ts';
import type { Resources } from '../resources.ts';
import { documentOf, type MigratedDocument, type Target } from './document.ts';
import { expectedFault } from './expected-faults.ts';
import { recordExpected, recordMigrated, storeExtracts } from './store.ts';
import { compareDocuments } from './verify.ts';

export const documentMigrationSteps = (resources: Resources): StepsOf<typeof documentMigration> => ({
  fetchAndStore: () =>
    chunks<Target, MigratedDocument>({
      reader: keysetReader({
        pool: resources.migration,
        query: target
          .selectFrom('migration_target')
          .select(['id', 'ticket_key'])
          .where('migrated', '=', false),
        // A skipped target is marked as migrated, so that no run tries it again.
        again: target.selectFrom('migration_target').select(['id', 'ticket_key']),
        table: 'migration_target',
        key: ['id'],
      }),
      processor: async (row, context) => {
        try {
          const body = await resources.legacyApi.sentences(row.ticket_key, context);
          return documentOf(row, body, resources.largestDocument);
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
