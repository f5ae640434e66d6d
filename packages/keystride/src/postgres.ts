/** PostgreSQL: readers of tables, writers in bulk, comparison of tables, and the database as a resource of a worker. */
export { postgres } from './project/postgres.ts';
export { keysetReader } from './stores/postgres/keyset-reader.ts';
export { keysetRanges } from './stores/postgres/keyset-ranges.ts';
export { hashComparison, type TableComparison } from './stores/postgres/hash-comparison.ts';
export { bulkUpsert, tableWriter } from './stores/postgres/bulk.ts';
export {
  addToOutbox,
  markAsSent,
  outboxReader,
  outboxTable,
  type OutboxMessage,
} from './stores/postgres/outbox.ts';
export { writersEnded } from './stores/postgres/table-writers.ts';
export { inTransaction, type Transaction } from './stores/postgres/transaction.ts';
export { SessionClient } from './stores/postgres/session.ts';
export { typedSql } from './stores/postgres/sql.ts';
export {
  bigint,
  boolean,
  type ColumnDescription,
  date,
  defaulted,
  generated,
  integer,
  jsonb,
  nullable,
  type TableDescription,
  text,
  timestamp,
  type TypedTables,
  uuid,
  varchar,
} from './stores/postgres/columns.ts';
