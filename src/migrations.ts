import { fileURLToPath } from 'node:url';

/** The tables that the jobs write to, beside the ledger. */
export const targetMigrations = {
  name: 'target',
  folder: fileURLToPath(new URL('sql/target/', import.meta.url)),
  database: 'DATABASE_URL',
  // As release 0.1.0 recorded them.
  formerly: 'migration',
};

/** The tables that the jobs read. In production they are there. */
export const sourceMigrations = {
  name: 'source',
  folder: fileURLToPath(new URL('sql/source/', import.meta.url)),
  database: 'SOURCE_DATABASE_URL',
  formerly: 'service',
};
