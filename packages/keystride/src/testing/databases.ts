import { randomBytes } from 'node:crypto';
import { migrationsOf, type Project } from '../project/project.ts';
import { migrateLedger, migrateTables } from '../ledger/migrate.ts';
import { databaseOn } from '../stores/postgres/database-url.ts';
import { ServerClient } from '../stores/postgres/server-client.ts';

/** The two databases that jobs work with: what they read, and what they write to, with the ledger in it. */
export type DatabaseKind = 'source' | 'target';

/** The name of a migrated, empty database of each kind; worlds work on clones of them. */
export type TemplateDatabases = Readonly<Record<DatabaseKind, string>>;

/** Makes the tables of a project in a database of a kind, and the ledger in the target. */
export async function migrateDatabase(project: Project, kind: DatabaseKind, url: string): Promise<void> {
  if (kind === 'target') await migrateLedger(url);
  const variable = kind === 'target' ? 'DATABASE_URL' : 'SOURCE_DATABASE_URL';
  for (const { database = 'DATABASE_URL', ...set } of migrationsOf(project))
    if (database === variable) await migrateTables(url, set);
}

/** Makes the databases that worlds clone. */
export async function createTemplates(project: Project, serverUrl: string): Promise<TemplateDatabases> {
  const mark = randomBytes(4).toString('hex');
  const templates = {
    source: `keystride_test_template_source_${mark}`,
    target: `keystride_test_template_target_${mark}`,
  };
  for (const kind of ['source', 'target'] as const) {
    await onServer(serverUrl, `create database ${templates[kind]}`);
    await migrateDatabase(project, kind, databaseOn(serverUrl, templates[kind]));
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
  return databaseOn(serverUrl, name);
}

/**
 * Ends a database, whoever is still connected to it. Who has just hung up has half a second: the promise of `pool.end()`
 * is there before its connections are gone, and one that the server ends meanwhile is an error that nobody handles.
 */
export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await onServer(
    serverUrl,
    `do $$ begin
       for look in 1..20 loop
         exit when not exists (select from pg_stat_activity where datname = '${name}');
         perform pg_sleep(0.025), pg_stat_clear_snapshot();
       end loop;
     end $$`,
    `drop database if exists ${name} with (force)`,
  );
}

async function onServer(serverUrl: string, ...statements: readonly string[]): Promise<void> {
  const client = new ServerClient({ connectionString: serverUrl });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
