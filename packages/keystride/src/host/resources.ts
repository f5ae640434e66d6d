import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import type { MongoClient } from 'mongodb';
import pg from 'pg';
import type { Resources } from '../../../../src/activities/resources.ts';
import type { Config } from '../settings/config.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { safeMessage } from '../page/item-errors.ts';
import { IdempotentApi } from '../stores/http/idempotent-api.ts';
import { LegacyApi } from '../../../../src/stores/legacy-api.ts';
import { CallBudget } from '../stores/postgres/call-budget.ts';
import { createMongoClient, databaseOf } from '../stores/mongo/client.ts';
import { classifyPostgres } from '../stores/postgres/errors.ts';
import { createPool } from '../stores/postgres/pool.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { UnreachablePart } from './unreachable-part.ts';
import { UnusableSession } from '../stores/postgres/session.ts';

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
  const mongoClient = mongoClientOf(config);
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

/** @throws UnreachablePart for an address that the driver does not take: it may name an option that is a piece of a password. */
function mongoClientOf({ mongodbUrl }: WorkerConfig): MongoClient {
  try {
    return createMongoClient(mongodbUrl);
  } catch (error) {
    const what = `MONGODB_URL is not what the driver takes: ${safeMessage(error)}`;
    const todo = 'Correct its options and hosts; a password with special characters must be percent-encoded.';
    throw new UnreachablePart({ message: `${what}. ${todo}`, what, todo }, { cause: error });
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
  const what = `this worker does not know where ${part} is`;
  const todo = `Set ${variable} for the workers, then start the job again.`;
  throw new UnreachablePart({ message: `${what}. ${todo}`, what, todo });
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
      if (performance.now() > until || isRefusal(error)) throw unreachable(part, variable, address, error);
    }
    await delay(500);
  }
}

function unreachable(part: string, variable: string, address: string, cause: unknown): UnreachablePart {
  const known = address.startsWith('postgres')
    ? databaseProblemOf(cause, { url: address, variable })
    : undefined;
  const { what, todo } = known ?? {
    what: safeMessage(cause),
    todo: `Check that it is up and that ${variable} is right.`,
  };
  const where = withoutCredentials(address);
  return new UnreachablePart(
    {
      message: `the worker cannot reach ${part} at ${where}: ${what}. ${todo}`,
      what: `${part}: ${what}`,
      ...{ where, todo },
    },
    { cause },
  );
}

/** Waiting does not help: a wrong password, no such database, no ledger, a certificate that nobody trusts. */
function isRefusal(error: unknown): boolean {
  if (error instanceof UnusableSession) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // 18: MongoDB's authentication has failed.
  if (code === '18' || /CERT|^ERR_(SSL|TLS|INVALID_URL)/u.test(code)) return true;
  return error instanceof pg.DatabaseError && classifyPostgres(error)?.decision === 'fail';
}
