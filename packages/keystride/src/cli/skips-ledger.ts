import type { Client } from '@temporalio/client';
import { type CompiledQuery, sql } from 'kysely';
import type pg from 'pg';
import { loadSettings } from '../dev/settings.ts';
import { SessionClient } from '../stores/postgres/session.ts';
import { migration } from '../stores/postgres/sql.ts';
import { databaseProblem } from './explain.ts';
import { shellWord } from '../contract/shell.ts';
import { plain } from './format.ts';
import { CommandError } from './output.ts';
import { keystride } from './called-as.ts';

/** Which skips of an instance are meant; what is not said does not narrow them. */
export interface SkipFilter {
  readonly fingerprint?: string;
  readonly key?: readonly string[];
  readonly step?: string;
  readonly status?: SkipStatus;
}

export const skipStatuses = ['open', 'redriven', 'waived'] as const;

export type SkipStatus = (typeof skipStatuses)[number];

/** An instance or a redrive of it that the ledger believes to run. */
export interface RunningExecution {
  readonly instance: string;
  readonly workflowId: string;
}

/**
 * Connects to the ledger, works with it alone, and closes.
 *
 * @param within how long each answer may take, in milliseconds. @default any time
 * @throws CommandError when the ledger cannot be used, with its address.
 */
export async function withLedger<Result>(
  work: (client: pg.Client) => Promise<Result>,
  within?: number,
): Promise<Result> {
  const { databaseUrl } = loadSettings(process.env, ['databaseUrl']);
  const client = new SessionClient({
    connectionString: databaseUrl,
    application_name: 'keystride skips',
    connectionTimeoutMillis: within ?? 5_000,
    ...(within !== undefined && { query_timeout: within }),
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw error instanceof CommandError ? error : databaseProblem(error, databaseUrl, 'DATABASE_URL');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs a query built with Kysely. */
export async function run<Row>(client: pg.Client, query: { compile(): CompiledQuery<Row> }): Promise<Row[]> {
  const { sql: text, parameters } = query.compile();
  // The builder knows the rows, the driver does not.
  return (await client.query(text, [...parameters])).rows as Row[];
}

/**
 * An instance by its key, or by the workflow that ran it last. A redrive leads to the instance whose skips it ran.
 *
 * @throws CommandError of type NotFound
 */
export async function findInstance(client: pg.Client, id: string): Promise<string> {
  const [found] = await run(
    client,
    migration
      .selectFrom('keystride.instance')
      .select(sql<string>`coalesce(redrives, instance_key)`.as('instance'))
      .where((row) => row.or([row('instance_key', '=', id), row('owner_workflow_id', '=', id)]))
      .orderBy(sql`instance_key = ${id}`, 'desc')
      .orderBy('opened_at', 'desc')
      .limit(1),
  );
  if (found) return found.instance;
  throw new CommandError(
    {
      what: `the ledger knows no instance or workflow ${plain(id)}`,
      todo: `See which runs there are: ${keystride} list`,
    },
    { type: 'NotFound', details: { workflowId: id } },
  );
}

/** The skips of an instance that a filter means. */
export function skipsOf(instance: string, { fingerprint, key, step, status }: SkipFilter) {
  let query = migration.selectFrom('keystride.skip').where('instance_key', '=', instance);
  if (fingerprint !== undefined) query = query.where('fingerprint', '=', fingerprint);
  if (key !== undefined) query = query.where(sql<boolean>`item_key = any(${key}::text[])`);
  if (step !== undefined) query = query.where('step', '=', step);
  if (status !== undefined) query = query.where('status', '=', status);
  return query;
}

/** How many of them are in each state. */
export async function countByStatus(
  client: pg.Client,
  instance: string,
  filter: SkipFilter,
): Promise<Record<SkipStatus, number>> {
  const query = skipsOf(instance, filter)
    .select(['status', sql<string>`count(*)`.as('items')])
    .groupBy('status');
  const found = new Map((await run(client, query)).map(({ status, items }) => [status, Number(items)]));
  return {
    open: found.get('open') ?? 0,
    redriven: found.get('redriven') ?? 0,
    waived: found.get('waived') ?? 0,
  };
}

/**
 * Refuses keys that were never skipped: a mistyped one is not to pass in silence.
 *
 * @throws CommandError of type NotFound
 */
export async function refuseUnknownKeys(
  client: pg.Client,
  instance: string,
  filter: SkipFilter,
): Promise<void> {
  if (filter.key === undefined) return;
  const found = await run(client, skipsOf(instance, filter).select('item_key'));
  const keys = new Set(found.map(({ item_key }) => item_key));
  const unknown = filter.key.filter((key) => !keys.has(key));
  if (unknown.length === 0) return;
  throw new CommandError(
    {
      what: `no skip of ${instance} that is asked for has the key ${unknown.slice(0, 5).map(shellWord).join(', ')}`,
      todo: `See which there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NotFound', details: { instance } },
  );
}

/** The instance and its redrives, as far as the ledger believes them to run. */
export async function runningExecutions(client: pg.Client, instance: string): Promise<RunningExecution[]> {
  return run(
    client,
    migration
      .selectFrom('keystride.instance')
      .select(['instance_key as instance', 'owner_workflow_id as workflowId'])
      .where('status', '=', 'running')
      .where((row) => row.or([row('instance_key', '=', instance), row('redrives', '=', instance)])),
  );
}

/** The first of these that Temporal, too, says is running. A worker that died may have left one in the ledger. */
export async function firstAlive(
  client: Client,
  executions: readonly RunningExecution[],
): Promise<RunningExecution | undefined> {
  for (const execution of executions) {
    try {
      const { status } = await client.workflow.getHandle(execution.workflowId).describe();
      if (status.name === 'RUNNING' || status.name === 'PAUSED') return execution;
    } catch (error) {
      if (!(error instanceof Error && error.name === 'WorkflowNotFoundError')) throw error;
    }
  }
  return undefined;
}

/** The refusal of work on skips while something else is at them. */
export function stillRunning({ instance, workflowId }: RunningExecution): CommandError {
  const id = shellWord(workflowId);
  return new CommandError(
    {
      what: `${instance} is running, as workflow ${workflowId}`,
      todo: `Wait for its end: ${keystride} status ${id} --watch\nEnd it: ${keystride} stop ${id}`,
    },
    { type: 'JobExecutionAlreadyRunning', details: { workflowId } },
  );
}
