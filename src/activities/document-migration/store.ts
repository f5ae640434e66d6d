import type { Collection, Db } from 'mongodb';
import { faultPoint, OvertakenWrite, type Skip, type WriteAttempt } from 'keystride';
import { documentOfFile, fileIdFor, FileStore, type Unmarked, upsertDocuments } from 'keystride/mongo';
import { bulkUpsert, type Transaction } from 'keystride/postgres';
import type { TargetDatabase } from '../../tables.ts';
import type { MigratedDocument, SentenceExtract, Target } from './document.ts';
import { faultNumber } from './expected-faults.ts';

const upsert = bulkUpsert<TargetDatabase>();

/** The collection of documents. */
export function extractsOf(mongo: Db): Collection<SentenceExtract> {
  return mongo.collection<SentenceExtract>('sentence_extract');
}

/** The files of documents that are too large for the collection. */
export function filesOf(mongo: Db): FileStore {
  return new FileStore(mongo, 'sentences');
}

/**
 * Writes documents to MongoDB: files first, each under an id of its attempt's own, so that a document that names a file
 * always finds it, whoever else writes that document. The file that one has replaced is removed once the chunk has
 * committed; what is left of an attempt that died before is found by verification.
 *
 * @throws OvertakenWrite when a document is there that a later attempt has written.
 */
export async function storeExtracts(
  mongo: Db,
  documents: readonly MigratedDocument[],
  attempt: WriteAttempt,
): Promise<void> {
  const files = filesOf(mongo);
  const extracts: Unmarked<SentenceExtract>[] = [];
  const stored: string[] = [];
  try {
    for (const document of documents) {
      const fileId = document.file && fileIdFor(document.extract._id, attempt);
      if (fileId !== undefined) stored.push(fileId);
      extracts.push(fileId === undefined ? document.extract : { ...document.extract, fileId });
      if (document.file && fileId !== undefined)
        await storeFile(files, fileId, document.extract, document.file);
    }
    faultPoint('afterFiles');
    const former = await upsertDocuments(extractsOf(mongo), extracts, attempt, ['fileId']);
    const replaced = former.flatMap(({ fileId }) => fileId ?? []);
    if (replaced.length > 0) attempt.afterCommit(() => files.remove(replaced));
  } catch (error) {
    const removeOwn = () => removeUnnamed(mongo, stored);
    // Everything was answered, so nothing is on its way any more that could name one of them.
    if (error instanceof OvertakenWrite) await removeOwn().catch(() => undefined);
    else attempt.afterCommit(removeOwn);
    throw error;
  }
}

/**
 * Removes those of these files that no document names. Nobody may be about to write a document that names one: the
 * attempts that wrote them have been overtaken.
 */
export async function removeUnnamed(mongo: Db, fileIds: readonly string[]): Promise<void> {
  const named = await namedFiles(mongo, fileIds);
  await filesOf(mongo).remove(fileIds.filter((id) => !named.has(id)));
}

/** Those of these files that the document they were written for names. */
export async function namedFiles(mongo: Db, fileIds: readonly string[]): Promise<ReadonlySet<string>> {
  // FerretDB reads the whole collection for a list of none too.
  if (fileIds.length === 0) return new Set();
  const owners = await extractsOf(mongo)
    .find({ _id: { $in: fileIds.map(documentOfFile) } }, { projection: { fileId: 1 } })
    .toArray();
  return new Set(owners.flatMap(({ fileId }) => fileId ?? []));
}

async function storeFile(
  files: FileStore,
  id: string,
  { _id, ticketKey }: Unmarked<SentenceExtract>,
  content: Buffer,
): Promise<void> {
  const metadata = { preprocessId: _id, ticketKey, contentType: 'application/json' };
  await files.store(id, `sentences_${_id}.json`, content, metadata, () => faultPoint('withinFile'));
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
