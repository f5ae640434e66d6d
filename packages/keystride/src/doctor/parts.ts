import pg from 'pg';
import { ToldError } from '../contract/told-error.ts';
import { addressesOfStack, loadSettings } from '../dev/settings.ts';
import { openResource, resourceSettings, silentResource } from '../host/resources.ts';
import { connect } from '../operator/connection.ts';
import { databaseProblem } from '../operator/explain.ts';
import { keystride } from '../operator/called-as.ts';
import type { WorkerDefinition } from '../project/worker-definition.ts';
import type { BaseConfig, Config } from '../settings/config.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { createPool } from '../stores/postgres/pool.ts';
import type { Database } from './database.ts';
import { bad, failed, type Finding, ok } from '../operator/finding.ts';
import type { Namespace } from './temporal.ts';

/** How long a part may take to answer, in milliseconds. */
const patience = 5_000;

/** What was reached, and what has to be closed afterwards. */
export interface Reached<Part> {
  readonly finding: Finding;
  /** Whether it answers. */
  readonly answers: boolean;
  /** Undefined where it does not. */
  readonly part: Part | undefined;
  close(): Promise<unknown>;
}

/** Connects to Temporal, where a command may. */
export async function reachTemporal({ temporal }: Config): Promise<Reached<Namespace>> {
  const nothing = { answers: false, part: undefined, close: () => Promise.resolve() };
  if (temporal === undefined) return { ...nothing, finding: unset('TEMPORAL_ADDRESS', 'Temporal') };
  const { address, namespace } = temporal;
  try {
    // What is looked at is not what is needed: whether it may be reached in the open is asked of who connects.
    const connection = await connect(loadSettings(process.env, ['temporal']));
    const close = () => connection.close();
    try {
      await connection.workflowService.describeNamespace({ namespace });
    } catch (error) {
      await close();
      throw error;
    }
    const finding = ok('connections', `Temporal answers at ${address}, namespace ${namespace}`);
    return { answers: true, part: { connection, namespace }, close, finding };
  } catch (error) {
    return { ...nothing, finding: failed('connections', error) };
  }
}

/** Connects to the database of the ledger. */
export async function reachDatabase({ databaseUrl }: Config): Promise<Reached<Database>> {
  const nothing = { answers: false, part: undefined, close: () => Promise.resolve() };
  if (databaseUrl === undefined) return { ...nothing, finding: unset('DATABASE_URL', 'the database') };
  const pool = createPool(databaseUrl, 'keystride doctor', 2);
  const close = () => pool.end();
  const place = withoutCredentials(databaseUrl);
  try {
    await pool.query('SELECT');
    const part = { title: 'DATABASE_URL', pool };
    return { answers: true, part, close, finding: ok('connections', `DATABASE_URL answers at ${place}`) };
  } catch (error) {
    await close();
    const problem = databaseProblem(error, databaseUrl, 'DATABASE_URL');
    return { ...nothing, finding: bad('connections', `DATABASE_URL: ${problem.message}`, problem.todo) };
  }
}

function unset(variable: string, title: string): Finding {
  const todo = `Set it, or run: ${keystride} dev --detach`;
  return bad('connections', `${variable} is not set: nobody says where ${title} is`, todo);
}

/** Opens a resource of the project's workers, as a worker does, and asks whether it answers. */
export async function reachResource(
  name: string,
  definition: WorkerDefinition,
  database: pg.Pool,
  { connections }: BaseConfig,
): Promise<Reached<unknown>> {
  const nothing = { answers: false, part: undefined, close: () => Promise.resolve() };
  const resource = definition.resources[name];
  if (resource === undefined) return { ...nothing, finding: bad('connections', `there is no ${name}`, '') };
  try {
    const only = { resources: { [name]: resource }, jobs: definition.jobs };
    const values = resourceSettings(only, { ...addressesOfStack(), ...process.env })[name] ?? {};
    const value = await openResource(resource, values, { database, connections });
    const close = async () => resource.close?.(value);
    const told = `${name} ${resource.check ? 'answers' : 'is set, and is not asked'} (${resource.title})`;
    try {
      await inTime(async () => resource.check?.(value));
      return { answers: true, part: value, close, finding: ok('connections', told) };
    } catch (error) {
      // What it is asked now may hang for as long as its driver likes.
      void Promise.resolve(close()).catch(() => undefined);
      return { ...nothing, finding: failed('connections', silentResource(resource, values, error)) };
    }
  } catch (error) {
    const { what, ...finding } = failed('connections', error);
    return { ...nothing, finding: { ...finding, what: `${name}: ${what}` } };
  }
}

async function inTime(ask: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ToldError(`it does not answer within ${patience / 1000} seconds`)),
      patience,
    );
  });
  await Promise.race([ask(), tooLate]).finally(() => clearTimeout(timer));
}

/** A resource that is a pool of PostgreSQL is looked at as the ledger's database is. */
export function asDatabase(title: string, value: unknown): Database[] {
  return value instanceof pg.Pool ? [{ title, pool: value }] : [];
}
