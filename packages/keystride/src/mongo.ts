/**
 * MongoDB, and what speaks its protocol: documents and files written under a fence, readers, and the database as a
 * resource of a worker.
 */
export { mongo } from './project/mongo.ts';
export { upsertDocuments, type KeyedDocument, type Unmarked } from './stores/mongo/bulk.ts';
export { FileStore } from './stores/mongo/files.ts';
export { documentOfFile, fenceOfFile, fileIdFor } from './stores/mongo/file-ids.ts';
export { requireLedger } from './stores/mongo/ledger-mark.ts';
export { mongoKeysetReader } from './stores/mongo/keyset-reader.ts';
