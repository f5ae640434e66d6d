import { sql } from 'kysely';
import type { targetSync } from '../contract/target-sync.ts';
import { chunks } from '../engine/activity/chunks.ts';
import { noteSettled, readOffset, rememberOffset } from '../engine/activity/ledger/offset.ts';
import type { StepsOf } from '../engine/activity/registry.ts';
import { bulkUpsert } from '../stores/postgres/bulk.ts';
import { openTransactionsEnded } from '../stores/postgres/horizon.ts';
import { keysetReader } from '../stores/postgres/keyset-reader.ts';
import type { MigrationDatabase } from '../stores/postgres/schema.ts';
import { service } from '../stores/postgres/sql.ts';
import type { Resources } from './resources.ts';

/** The offset of this copy is kept under this name. */
const stream = 'targetSync:legacy_document';

/** How long a run waits for rows that are being inserted below its upper key, in milliseconds. */
const settleMs = 10_000;

const upsert = bulkUpsert<MigrationDatabase>();

/** A target is a legacy document without a preprocess document. Times travel as text, so microseconds survive. */
const targets = service
  .selectFrom('legacy_document')
  .select([
    'ticket_key',
    'member_id',
    'document_name',
    sql<string | null>`uploaded_at::text`.as('uploaded_at'),
  ])
  .where(({ not, exists, selectFrom }) =>
    not(
      exists(
        selectFrom('preprocess_document')
          .select('preprocess_document.id')
          .whereRef('preprocess_document.ticket_key', '=', 'legacy_document.ticket_key'),
      ),
    ),
  );

export const targetSyncSteps = (resources: Resources): StepsOf<typeof targetSync> => ({
  copy: ({ parameters, log }) =>
    chunks({
      reader: keysetReader({
        pool: resources.service,
        query: targets,
        table: 'legacy_document',
        key: ['id'],
        above: async () =>
          parameters.mode === 'incrementing' ? readOffset(resources.migration, stream) : null,
        onFrozen: async () => {
          const settled = await openTransactionsEnded(resources.service, settleMs);
          if (!settled)
            log.warn('a transaction stays open in the source: the next run reads these keys again');
          await noteSettled(resources.migration, stream, settled);
        },
      }),
      processor: (target) => target,
      writer: {
        // `migrated` and `preprocess_id` belong to documentMigration and are never overwritten.
        write: async (rows, transaction) => {
          await upsert(transaction, {
            table: 'migration_target',
            columns: {
              ticket_key: 'text',
              member_id: 'bigint',
              document_name: 'text',
              uploaded_at: 'timestamptz',
            },
            rows,
            conflict: ['ticket_key'],
            update: ['member_id', 'document_name', 'uploaded_at'],
          });
        },
      },
    }),
  remember: ({ instance }) => ({
    run: async (transaction) => ({
      moved: await rememberOffset(transaction, stream, { instance, step: 'copy' }),
    }),
  }),
});
