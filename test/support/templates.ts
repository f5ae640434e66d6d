import { randomBytes } from 'node:crypto';
import pg from 'pg';
import path from 'node:path';
import { migrateLedger, migrateTables } from '../../packages/keystride/src/stores/postgres/migrate.ts';

/** Which of the two databases of the jobs: the service's, which they read, or the one that they write to. */
export type MigrationSet = 'service' | 'migration';

/** Makes the tables of one of the two databases. */
export async function migrate(url: string, set: MigrationSet): Promise<void> {
  if (set === 'migration') await migrateLedger(url);
  await migrateTables(url, { name: set, folder: path.join(import.meta.dirname, '../../src/sql', set) });
}

/** The name of a migrated, empty database for each set; tests work on clones of it. */
export type TemplateDatabases = Record<MigrationSet, string>;

/** Makes the databases that tests clone. */
export async function createTemplates(serverUrl: string): Promise<TemplateDatabases> {
  const mark = randomBytes(4).toString('hex');
  const templates = {
    service: `keystride_test_template_service_${mark}`,
    migration: `keystride_test_template_migration_${mark}`,
  };
  for (const set of ['service', 'migration'] as const) {
    await onServer(serverUrl, `create database ${templates[set]}`);
    await migrate(databaseUrl(serverUrl, templates[set]), set);
  }
  return templates;
}

/** Takes the templates away again. */
export async function dropTemplates(serverUrl: string, templates: TemplateDatabases): Promise<void> {
  for (const name of Object.values(templates)) await dropDatabase(serverUrl, name);
}

/** Makes a database with the content of another one, to which nobody may be connected. */
export async function cloneDatabase(serverUrl: string, template: string, name: string): Promise<string> {
  await onServer(serverUrl, `create database ${name} template ${template}`);
  return databaseUrl(serverUrl, name);
}

/** Ends a database, whoever is still connected to it. */
export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await onServer(serverUrl, `drop database if exists ${name} with (force)`);
}

function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
