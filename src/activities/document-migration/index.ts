import { chunks, type StepsOf } from 'keystride';
import { keysetReader } from 'keystride/postgres';
import type { documentMigration } from '../../contract/document-migration.ts';
import { target } from '../../tables.ts';
import type { Resources } from '../../resources.ts';
import { documentOf } from './document.ts';
import { expectedFault } from './expected-faults.ts';
import { recordExpected, recordMigrated, storeExtracts } from './store.ts';
import { compareDocuments } from './verify.ts';

export const documentMigrationSteps = (resources: Resources): StepsOf<typeof documentMigration> => ({
  fetchAndStore: () =>
    chunks({
      reader: keysetReader({
        pool: resources.database,
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
