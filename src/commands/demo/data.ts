import { MongoClient } from 'mongodb';
import type pg from 'pg';
import {
  CommandError,
  count,
  databaseProblem,
  progressLine,
  reasonOf,
  withoutCredentials,
} from 'keystride/command';
import { SessionClient } from 'keystride/postgres';
import { createDocuments } from '../demo-data/documents.ts';
import type { DemoParts } from './stack.ts';

/** Where the migration's documents are, in MongoDB. */
const collections = ['sentence_extract', 'sentences.files', 'sentences.chunks'];

const targetTables = 'public.migration_target, public.preprocess_job, public.expected_migration_target';

/** What became of the targets. */
export interface Outcome {
  readonly targets: number;
  readonly migrated: number;
  readonly expected: readonly { readonly code: number; readonly message: string; readonly count: number }[];
  /** Documents too large for one record of MongoDB. */
  readonly inGridFs: number;
}

/**
 * Empties the tables and fills the source with documents.
 * @returns how many of them have to be migrated
 * @throws CommandError when data would be lost that is not the stack's own
 */
export async function prepareData(
  { config, ours }: DemoParts,
  documents: { count?: number; from?: string },
): Promise<number> {
  if (!ours.postgres) await refuseForeignRows(config);
  await withMongo(config.mongodbUrl, async (database) => {
    if (!ours.mongodb && (await database.collection('sentence_extract').findOne()) !== null)
      throw notOurs('MongoDB holds documents', config.mongodbUrl, 'MONGODB_URL');
    for (const name of collections) await database.collection(name).drop();
  });
  await withPostgres(config.databaseUrl, 'DATABASE_URL', (client) =>
    client.query(`truncate ${targetTables} restart identity`),
  );
  const made = await createDocuments({
    sourceDatabaseUrl: config.sourceDatabaseUrl,
    ...documents,
    reset: true,
    onProgress: (done, total) => progressLine(`data        ${count(done)} of ${count(total)} documents`),
  });
  return made.targets;
}

/** Counts what the migration has left. */
export async function readOutcome({ config }: Pick<DemoParts, 'config'>): Promise<Outcome> {
  const inGridFs = await withMongo(config.mongodbUrl, (database) =>
    database.collection('sentences.files').countDocuments(),
  );
  return withPostgres(config.databaseUrl, 'DATABASE_URL', async (client) => {
    const targets = await client.query<{ targets: string; migrated: string }>(
      `select count(*) as targets, count(*) filter (where migrated and preprocess_id is not null) as migrated
         from public.migration_target`,
    );
    const expected = await client.query<{ code: number; message: string; count: string }>(
      `select code, min(message) as message, count(*) from public.expected_migration_target group by code order by code`,
    );
    return {
      targets: Number(targets.rows[0]?.targets),
      migrated: Number(targets.rows[0]?.migrated),
      expected: expected.rows.map((row) => ({ ...row, count: Number(row.count) })),
      inGridFs,
    };
  });
}

/**
 * When the last chunk of a step committed, in milliseconds since 1970; null where the server does not keep the times
 * of commits.
 */
export async function lastCommitAt(
  { config }: Pick<DemoParts, 'config'>,
  instance: string,
  step: string,
): Promise<number | null> {
  return withPostgres(config.databaseUrl, 'DATABASE_URL', async (client) => {
    const { rows } = await client.query<{ at: string | null }>(
      `select extract(epoch from max(case when current_setting('track_commit_timestamp') = 'on'
                                          then pg_xact_commit_timestamp(xmin) end)) * 1000 as at
         from keystride.checkpoint where instance_key = $1 and step = $2`,
      [instance, step],
    );
    const at = rows[0]?.at ?? null;
    return at === null ? null : Number(at);
  });
}

async function refuseForeignRows({ databaseUrl, sourceDatabaseUrl }: DemoParts['config']): Promise<void> {
  const places = [
    { url: databaseUrl, variable: 'DATABASE_URL', tables: targetTables.split(', ') },
    {
      url: sourceDatabaseUrl,
      variable: 'SOURCE_DATABASE_URL',
      tables: ['public.legacy_document', 'public.preprocess_document'],
    },
  ];
  for (const { url, variable, tables } of places) {
    const filled = await withPostgres(url, variable, async (client) => {
      const sql = tables.map((table) => `exists (select from ${table})`).join(' or ');
      return (await client.query<{ filled: boolean }>(`select ${sql} as filled`)).rows[0]?.filled;
    });
    if (filled) throw notOurs('the database holds rows', url, variable);
  }
}

function notOurs(what: string, url: string, variable: string): CommandError {
  return new CommandError(
    {
      what: `${what} that the demo would delete, and it was not started for it`,
      where: withoutCredentials(url),
      todo: `Unset ${variable} to have one started for the demo, or name an empty one.`,
    },
    { type: 'DataNotOurs' },
  );
}

async function withPostgres<Result>(
  url: string,
  variable: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new SessionClient({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw error instanceof CommandError ? error : databaseProblem(error, url, variable);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function withMongo<Result>(
  url: string,
  work: (database: ReturnType<MongoClient['db']>) => Promise<Result>,
): Promise<Result> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 });
  try {
    return await work(client.db());
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      {
        what: `MongoDB does not do what the demo needs: ${reasonOf(error)}`,
        where: withoutCredentials(url),
        todo: 'Start it, or correct MONGODB_URL.',
      },
      { cause: error },
    );
  } finally {
    await client.close();
  }
}
