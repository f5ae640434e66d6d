import { randomBytes } from 'node:crypto';
import path from 'node:path';
import pg from 'pg';
import {
  migrateLedger,
  migrateTables,
  type MigrationSet,
} from '../../packages/keystride/src/ledger/migrate.ts';
import { migrationsOf } from '../../packages/keystride/src/project/project.ts';
import config from '../../keystride.config.ts';

const root = path.join(import.meta.dirname, '../..');

/** The migrations of one of the two databases' own tables. */
export function ownMigrations(kind: DatabaseKind): MigrationSet {
  const all = migrationsOf({ root, file: path.join(root, 'keystride.config.ts'), config });
  const found = all.find(({ name }) => name === kind);
  if (found) return found;
  throw new Error(`keystride.config.ts names no migrations ${kind}`);
}

/** The two databases that jobs work with: what they read, and what they write to beside the ledger. */
export type DatabaseKind = 'source' | 'target';

/** Makes the tables of one of the two databases. */
export async function migrate(url: string, kind: DatabaseKind): Promise<void> {
  if (kind === 'target') await migrateLedger(url);
  await migrateTables(url, ownMigrations(kind));
}

/** The name of a migrated, empty database of each kind; tests work on clones of it. */
export type TemplateDatabases = Record<DatabaseKind, string>;

/** Makes the databases that tests clone. */
export async function createTemplates(serverUrl: string): Promise<TemplateDatabases> {
  const mark = randomBytes(4).toString('hex');
  const templates = {
    source: `keystride_test_template_source_${mark}`,
    target: `keystride_test_template_target_${mark}`,
  };
  for (const kind of ['source', 'target'] as const) {
    await onServer(serverUrl, `create database ${templates[kind]}`);
    await migrate(databaseUrl(serverUrl, templates[kind]), kind);
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
