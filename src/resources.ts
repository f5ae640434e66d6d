import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import type pg from 'pg';
import type { Resources } from './activities/resources.ts';
import type { Config } from './config.ts';
import { withoutCredentials } from './environment.ts';
import { safeMessage } from './engine/activity/item-errors.ts';
import { IdempotentApi } from './stores/http/idempotent-api.ts';
import { LegacyApi } from './stores/http/legacy-api.ts';
import { CallBudget } from './stores/postgres/call-budget.ts';
import { createMongoClient, databaseOf } from './stores/mongo/client.ts';
import { createPool } from './stores/postgres/pool.ts';

/** A part that a worker needs and cannot reach. The message says which, where, and what to do. */
export class UnreachablePart extends Error {
  override readonly name = 'UnreachablePart';
}

export type WorkerConfig = Config<
  'temporal' | 'databaseUrl' | 'sourceDatabaseUrl' | 'mongodbUrl' | 'legacyApiUrl'
>;

export interface OpenResources extends Resources {
  readonly connection: NativeConnection;
  close(): Promise<void>;
}

/** How long a part may take to answer when the worker starts, in milliseconds. */
const patience = 15_000;

/**
 * Connects to everything that the jobs work with, and looks whether it answers.
 *
 * @throws UnreachablePart
 */
export async function openResources(config: WorkerConfig): Promise<OpenResources> {
  const migration = createPool(config.databaseUrl, 'keystride');
  const service = createPool(config.sourceDatabaseUrl, 'keystride');
  const mongoClient = createMongoClient(config.mongodbUrl);
  const mongo = databaseOf(mongoClient, config.mongodbUrl);
  const legacyApi = new LegacyApi(config.legacyApiUrl);
  const messages = config.messageProviderUrl
    ? new IdempotentApi(config.messageProviderUrl, 'the message provider')
    : undefined;
  const budgets = openBudgets(config.callBudgets, migration, legacyApi, messages);
  let connection: NativeConnection | undefined;
  const close = async () => {
    await Promise.allSettled(budgets.map((budget) => budget.close()));
    await Promise.allSettled([
      migration.end(),
      service.end(),
      mongoClient.close(),
      legacyApi.close(),
      messages?.close(),
      connection?.close(),
    ]);
  };
  try {
    const [temporal] = await Promise.all([
      reach('Temporal', 'TEMPORAL_ADDRESS', config.temporal.address, () =>
        NativeConnection.connect(config.temporal.connectionOptions),
      ),
      reach('the migration database', 'DATABASE_URL', config.databaseUrl, () =>
        migration.query('SELECT FROM keystride.instance LIMIT 0'),
      ),
      reach('the service database', 'SOURCE_DATABASE_URL', config.sourceDatabaseUrl, () =>
        service.query('SELECT'),
      ),
      reach('MongoDB', 'MONGODB_URL', config.mongodbUrl, () => mongo.command({ ping: 1 })),
    ]);
    connection = temporal;
    const messageProvider = () => messages ?? missing('MESSAGE_PROVIDER_URL', 'the message provider');
    const { largestDocument } = config;
    return {
      ...{ service, migration, mongo, legacyApi, messageProvider, connection, close },
      ...(largestDocument === undefined ? {} : { largestDocument }),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What divides the calls of an API among all workers, where the configuration bounds them. */
function openBudgets(
  { legacyApi: ofLegacyApi, messageProvider: ofMessages }: WorkerConfig['callBudgets'],
  ledger: pg.Pool,
  legacyApi: LegacyApi,
  messages: IdempotentApi | undefined,
): CallBudget[] {
  return [
    ...(ofLegacyApi === undefined ? [] : [new CallBudget(ledger, legacyApi.calls, ofLegacyApi)]),
    ...(ofMessages === undefined || !messages ? [] : [new CallBudget(ledger, messages.calls, ofMessages)]),
  ];
}

function missing(variable: string, part: string): never {
  throw new UnreachablePart(
    `this worker does not know where ${part} is. Set ${variable} for the workers, then start the job again.`,
  );
}

async function reach<Answer>(
  part: string,
  variable: string,
  address: string,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const until = performance.now() + patience;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (isMissingLedger(error)) {
        throw new UnreachablePart(
          `${part} at ${withoutCredentials(address)} has no ledger. Run: keystride migrate (it creates schema keystride).`,
          { cause: error },
        );
      }
      if (performance.now() > until || isRefusal(error)) {
        throw new UnreachablePart(
          `the worker cannot reach ${part} at ${withoutCredentials(address)}: ${safeMessage(error)}. ` +
            `Check that it is up and that ${variable} is right.`,
          { cause: error },
        );
      }
    }
    await delay(500);
  }
}

/** 3F000, 42P01: the schema, the table is not there. */
function isMissingLedger(error: unknown): boolean {
  return codeOf(error) === '3F000' || codeOf(error) === '42P01';
}

/** 28…, 3D000, 18: wrong password, no such database: waiting does not help. */
function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith('28') || code === '3D000' || code === '18' || code === '42501';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
