import { sql } from 'kysely';
import type { StepsOf } from 'keystride';
import { hashComparison, type TableComparison } from 'keystride/postgres';
import { comparable, syncSource, syncSteps, upsertSink } from 'keystride/table-sync';
import type { SyncMode } from 'keystride/table-sync/contract';
import type { targetSync } from '../contract/target-sync.ts';
import { source, target } from '../tables.ts';
import type { Resources } from '../resources.ts';

/** A target is a legacy document without a preprocess document. Times travel as text, so microseconds survive. */
const targets = source
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

/** `migrated` and `preprocess_id` belong to documentMigration and are never overwritten. */
const sinkColumns = [
  { name: 'ticket_key', type: 'text' },
  { name: 'member_id', type: 'bigint' },
  { name: 'document_name', type: 'text' },
  { name: 'uploaded_at', type: 'timestamp with time zone' },
];

const sinkTable = 'migration_target';

const sink = upsertSink({ table: sinkTable, columns: sinkColumns, key: ['ticket_key'] });

/** Two documents may have changed in one microsecond: the id always decides. */
const keys: Readonly<Record<SyncMode, readonly ('id' | 'updated_at')[]>> = {
  bulk: ['id'],
  incrementing: ['id'],
  timestamp: ['updated_at', 'id'],
  'timestamp+incrementing': ['updated_at', 'id'],
};

export const targetSyncSteps = (resources: Resources): StepsOf<typeof targetSync> =>
  syncSteps(resources.database, ({ mode }) => {
    const key = keys[mode];
    const rows = { pool: resources.service, query: targets, table: 'legacy_document' } as const;
    return Promise.resolve({
      stream: `targetSync:${key.join(',')}`,
      source: syncSource({ ...rows, key }),
      sink,
      tables: {
        source: { pool: resources.service, table: rows.table },
        sink: { pool: resources.database, table: sinkTable },
        columns: sinkColumns.map(({ name }) => ({ from: name, to: name, how: '' })),
      },
      compared: {
        comparison: compareTargets(resources),
        reader: syncSource({ ...rows, key: ['ticket_key'] }).above(null),
      },
    });
  });

/** A target whose document has been preprocessed since is no target any more, and stays. */
function compareTargets({ service: from, database: to }: Resources): TableComparison {
  return hashComparison(
    {
      pool: from,
      query: targets.clearSelect().select(comparedColumns('legacy_document')),
      table: 'legacy_document',
      key: ['ticket_key'],
    },
    {
      pool: to,
      query: target.selectFrom('migration_target').select(comparedColumns('migration_target')),
      table: 'migration_target',
      key: ['ticket_key'],
    },
    { extra: 'ignored' },
  );
}

function comparedColumns(table: string) {
  return sinkColumns.map(({ name, type }) => comparable(sql.ref(`${table}.${name}`), type).as(name));
}
