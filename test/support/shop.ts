import { DefaultLogger } from '@temporalio/worker';
import type pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { parseParameters } from '../../packages/keystride/src/contract/parameters.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import { tableSyncSteps } from '../../packages/keystride/src/table-sync/index.ts';
import { openStores, type Stores } from './migration.ts';
import { stepOf } from './runs.ts';
import { createWorld, type World } from './stack.ts';

/** A world for syncs, with a worker and its two databases. */
export interface Shop {
  readonly world: World;
  readonly stores: Stores;
}

/**
 * Opens one.
 *
 * @param options.ownServers for tests that an open transaction of any other test would hold back. @default false
 */
export async function openShop(options: { readonly ownServers?: boolean } = {}): Promise<Shop> {
  const world = await createWorld(options);
  const stores = openStores(world);
  await world.startWorker();
  return { world, stores };
}

/** Closes what there is of one. */
export async function closeShop({ world, stores }: Partial<Shop>): Promise<void> {
  await stores?.close();
  await world?.dispose();
}

/** Opens one for the tests of a file, and closes it behind them. @returns it, once they run */
export function useShop(options: Parameters<typeof openShop>[0] = {}): Shop {
  const shop = {} as Shop;
  beforeAll(async () => {
    Object.assign(shop, await openShop(options));
  });
  afterAll(() => closeShop(shop));
  return shop;
}

/** Makes the schema `shop`, where the tables of a sync stand, empty on both sides, and forgets what has been synced. */
export async function emptyShop(stores: Stores): Promise<void> {
  await onBothSides(stores, 'DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop');
  await stores.migration.query('TRUNCATE keystride.instance, keystride.stream_offset CASCADE');
}

/** Does the same in source and sink. */
export async function onBothSides({ service, migration }: Stores, statement: string): Promise<void> {
  for (const pool of [service, migration]) await pool.query(statement);
}

/** The rows of a table as texts, in no order that a database knows. */
export async function rowsOf(pool: pg.Pool, table = 'shop.k'): Promise<string[]> {
  const { rows } = await pool.query<{ row: string }>(
    `SELECT to_jsonb(each)::text AS row FROM ${table} AS each`,
  );
  return rows.map(({ row }) => row).toSorted();
}

/** A table of syncs that are about something else than columns. */
export const plain = 'CREATE TABLE shop.k (id bigint PRIMARY KEY, note text)';

/** What a run was told when it began. */
export function toldBy(report: JobProgress): string[] {
  return (stepOf(report, 'begin').result as { told: string[] }).told;
}

/** How many rows a run has read, in `copy` and in `sweep`. */
export function readBy(report: JobProgress): [copied: number, swept: number] {
  return [stepOf(report, 'copy').read, stepOf(report, 'sweep').read];
}

/** Whether a run of these parameters would find something to do now, as a continuous sync looks before it starts one. */
export async function isDue({ service, migration }: Stores, given: object): Promise<boolean> {
  const { begin } = tableSyncSteps({ source: service, database: migration });
  const parameters = parseParameters(tableSync, given);
  const work = begin({ parameters, instance: 'of nobody', epoch: 1, log: new DefaultLogger('ERROR') });
  return (await work.due?.(new AbortController().signal)) ?? true;
}
