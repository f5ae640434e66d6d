import type { Collection, Db } from 'mongodb';
import type { Skip } from '../../engine/activity/ledger/skips.ts';
import { upsertDocuments } from '../../stores/mongo/bulk.ts';
import { FileStore } from '../../stores/mongo/files.ts';
import { bulkUpsert } from '../../stores/postgres/bulk.ts';
import type { MigrationDatabase } from '../../stores/postgres/schema.ts';
import type { Transaction } from '../../stores/postgres/transaction.ts';
import type { MigratedDocument, SentenceExtract, Target } from './document.ts';
import { faultNumber } from './expected-faults.ts';

const upsert = bulkUpsert<MigrationDatabase>();

/** The collection of documents. */
export function extractsOf(mongo: Db): Collection<SentenceExtract> {
  return mongo.collection<SentenceExtract>('sentence_extract');
}

/** The files of documents that are too large for the collection. */
export function filesOf(mongo: Db): FileStore {
  return new FileStore(mongo, 'sentences');
}

/** Writes documents to MongoDB: files first, so that a document that names a file always finds it. */
export async function storeExtracts(mongo: Db, documents: readonly MigratedDocument[]): Promise<void> {
  const files = filesOf(mongo);
  for (const { extract, file } of documents) {
    if (!file) continue;
    await files.replace(extract._id, `sentences_${extract._id}.json`, file, {
      preprocessId: extract._id,
      ticketKey: extract.ticketKey,
      contentType: 'application/json',
    });
  }
  const replaced = new Set(
    await upsertDocuments(
      extractsOf(mongo),
      documents.map(({ extract }) => extract),
    ),
  );
  // A document that was large when an earlier attempt stored it, and is not any more, leaves no file behind.
  await files.remove(
    documents
      .filter(({ extract, file }) => !file && replaced.has(extract._id))
      .map(({ extract }) => extract._id),
  );
}

/** Records documents as stored, in the chunk's transaction. */
export async function recordMigrated(
  documents: readonly MigratedDocument[],
  transaction: Transaction,
): Promise<void> {
  await upsert(transaction, {
    table: 'preprocess_job',
    columns: { id: 'uuid', ticket_key: 'text', status: 'text', sentence_count: 'integer', sha256: 'text' },
    rows: documents.map(({ extract }) => ({
      id: extract._id,
      ticket_key: extract.ticketKey,
      status: 'READY',
      sentence_count: extract.sentenceCount,
      sha256: extract.sha256,
    })),
    conflict: ['ticket_key'],
    update: ['status', 'sentence_count', 'sha256'],
    touch: 'updated_at',
  });
  // What was expected to fail and has succeeded after all, in a redrive, is no longer expected to.
  await transaction.query(
    `WITH resolved AS (DELETE FROM expected_migration_target WHERE migration_target_id = ANY($1::bigint[]))
     UPDATE migration_target AS target
        SET migrated = true, migrated_at = clock_timestamp(), preprocess_id = stored.preprocess_id
       FROM unnest($1::bigint[], $2::uuid[]) AS stored (id, preprocess_id)
      WHERE target.id = stored.id`,
    [documents.map(({ target }) => target.id), documents.map(({ extract }) => extract._id)],
  );
}

/** Records expected faults and marks their targets as done, in the transaction that counts them as skipped. */
export async function recordExpected(
  skips: readonly Skip<Target>[],
  transaction: Transaction,
): Promise<void> {
  const ids = skips.map(({ item }) => item.id);
  await upsert(transaction, {
    table: 'expected_migration_target',
    columns: { migration_target_id: 'bigint', ticket_key: 'text', code: 'integer', message: 'text' },
    rows: skips.map(({ item, code, message }) => ({
      migration_target_id: item.id,
      ticket_key: item.ticket_key,
      code: faultNumber(code),
      message,
    })),
    conflict: ['migration_target_id'],
    update: ['code', 'message'],
  });
  await transaction.query(
    'UPDATE migration_target SET migrated = true, migrated_at = clock_timestamp() WHERE id = ANY($1::bigint[])',
    [ids],
  );
}
