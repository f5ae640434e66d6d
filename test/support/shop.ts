import type { Stores } from './migration.ts';

/** Makes the schema `shop`, where the tables of a sync stand, empty on both sides, and forgets what has been synced. */
export async function emptyShop({ service, migration }: Stores): Promise<void> {
  for (const pool of [service, migration])
    await pool.query('DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop');
  await migration.query('TRUNCATE keystride.instance, keystride.stream_offset CASCADE');
}
