import { expect } from 'vitest';
import { createDemoCoupons } from '../../src/demo-data/coupons.ts';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { createDemoMedication } from '../../src/demo-data/medication.ts';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { createDemoPoints } from '../../src/demo-data/points.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { run, stepOf } from './runs.ts';
import type { World } from './stack.ts';

/** How many rows each job has to do: enough for several chunks. */
const rows = 60;

/**
 * Runs a job of each kind to its end: chunks, sets, tasklets and messages, parallel steps, an API and MongoDB, syncs; and
 * looks whether every row was done once.
 *
 * @param as who fills the tables and looks at them, where the world's own addresses are not the ones to do it by
 */
export async function runEveryJob(
  world: World,
  as: Pick<World, 'databaseUrl' | 'sourceDatabaseUrl'> = world,
): Promise<void> {
  const { databaseUrl, sourceDatabaseUrl } = as;
  const pool = createPool(databaseUrl, 'keystride test', 2);
  const count = async (what: string) =>
    Number((await pool.query<{ count: string }>(`SELECT count(*) FROM ${what}`)).rows[0]?.count);
  try {
    await createDemoOrders({ databaseUrl, count: rows, deliveredShare: 1 });
    const confirmed = await run(world, 'purchaseConfirmation', { deliveredBefore: '2025-10-01' });
    expect(stepOf(confirmed, 'confirm')).toMatchObject({ read: rows, written: rows });
    expect(await count('orders WHERE purchase_confirmed_at IS NOT NULL')).toBe(rows);

    const coupons = await createDemoCoupons({ databaseUrl, count: rows });
    const exchanged = await run(world, 'couponExchange', {
      ...{ name: 'New', description: 'Ten off', amountType: 'FIX', amount: 10 },
      expiredCouponId: coupons.couponId,
    });
    expect(stepOf(exchanged, 'exchangeCoupons')).toMatchObject({ written: coupons.unused });
    expect(stepOf(exchanged, 'notifyMembers')).toMatchObject({ written: coupons.members });

    await createDemoMedication({ databaseUrl, count: rows });
    const snapshot = await run(world, 'medicationHistory', { date: '2025-10-01' });
    expect(stepOf(snapshot, 'snapshot').read).toBeGreaterThan(0);
    expect(stepOf(snapshot, 'snapshot')).toMatchObject({ written: await count('history') });

    await createDemoPoints({ databaseUrl, count: rows });
    const settled = await run(world, 'pointSettlement', { date: '2025-10-01' });
    expect(settled).toMatchObject({ status: 'completed' });
    expect(await count(`point_daily_total WHERE settlement_date = '2025-10-01'`)).toBe(1);

    await createDemoDocuments({ sourceDatabaseUrl, count: rows });
    expect(stepOf(await run(world, 'targetSync'), 'copy')).toMatchObject({ written: rows });
    const synced = await run(world, 'tableSync', {
      ...{ source: 'legacy_document', sink: 'migration_target', mode: 'bulk', key: ['ticket_key'] },
      columns: ['ticket_key', 'member_id', 'document_name', 'uploaded_at'],
    });
    expect(stepOf(synced, 'copy')).toMatchObject({ read: rows });
    expect(await count('migration_target')).toBe(rows);

    const migrated = await run(world, 'documentMigration', { inFlight: 30 });
    expect(stepOf(migrated, 'fetchAndStore')).toMatchObject({ read: rows });
    expect(stepOf(migrated, 'verify')).toMatchObject({ result: { differences: 0 } });
    expect(await count('preprocess_job')).toBe(rows);
    expect(await world.legacyApiStatistics()).toMatchObject({ keys: rows, repeatedCalls: 0 });
  } finally {
    await pool.end();
  }
}
