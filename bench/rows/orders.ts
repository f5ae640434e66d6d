import pg from 'pg';
import { purchaseConfirmationSteps } from '../../src/activities/purchase-confirmation.ts';
import { createDemoOrders } from '../../src/demo-data/orders.ts';
import { runJob, type Bench } from '../bench.ts';
import type { Contest } from '../contest.ts';
import { noRun, withoutEngine } from './without-engine.ts';

/** Connections that the split statement is given: as many as the job has partitions. */
export const connections = 4;

export const deliveredBefore = '2025-10-01';

/**
 * Ways to confirm all orders: one statement, the same over four ranges of ids side by side, our step in a bare loop, and
 * our job.
 */
export type OrdersWay = 'oneStatement' | 'fourConnections' | 'withoutEngine' | 'ours';

/** Orders that are all to be confirmed, kept aside so that every run begins with the same table. */
export async function makeOrders({ config, database, note }: Bench, count: number): Promise<void> {
  note(`  making ${count} orders`);
  await createDemoOrders({ databaseUrl: config.databaseUrl, count, deliveredShare: 1, reset: true });
  await database.query('drop table if exists bench_orders');
  await database.query('create table bench_orders as select * from orders order by id');
}

/** Gives the space back. */
export async function forgetOrders({ database }: Bench): Promise<void> {
  await database.query('drop table if exists bench_orders');
  await database.query('truncate orders');
}

/** The workflow of our job in a round. */
export function workflowIdOf(size: number, round: number): string {
  return `purchaseConfirmation ${size} rows, run ${round}`;
}

/** Confirming the first `size` orders. */
export function ordersContest(bench: Bench, size: number): Contest<OrdersWay> {
  return {
    prepare: () => prepareOrders(bench, size),
    check: () => refuseUnconfirmed(bench, size),
    ways: {
      oneStatement: () => bench.database.query(confirmAll),
      fourConnections: () => confirmInParts(bench, size),
      withoutEngine: () => withoutEngine(bench, confirmStep),
      ours: (round) => runJob(bench, 'purchaseConfirmation', { deliveredBefore }, workflowIdOf(size, round)),
    },
  };
}

function confirmStep(database: pg.Pool) {
  return purchaseConfirmationSteps({ database }).confirm(noRun({ deliveredBefore, partitions: connections }));
}

/** The first `size` orders, none of them confirmed. */
export async function prepareOrders({ database }: Bench, size: number): Promise<void> {
  await database.query('truncate orders');
  await database.query(
    'insert into orders overriding system value select * from bench_orders where id <= $1 order by id',
    [size],
  );
  await database.query('vacuum (analyze) orders');
  await database.query('checkpoint');
}

/** @throws Error when an order is left */
export async function refuseUnconfirmed({ database }: Bench, size: number): Promise<void> {
  const { rows } = await database.query<{ confirmed: number }>(
    'select count(*)::int as confirmed from orders where purchase_confirmed_at is not null',
  );
  if (rows[0]?.confirmed !== size) throw new Error(`${rows[0]?.confirmed} of ${size} orders are confirmed`);
}

const confirmAll = `update orders set purchase_confirmed_at = now()
  where purchase_confirmed_at is null and delivered_at < '${deliveredBefore}T00:00:00Z' and amount >= 0`;

async function confirmInParts({ config: { databaseUrl } }: Bench, size: number): Promise<void> {
  const part = Math.ceil(size / connections);
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: databaseUrl }));
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        await client.connect();
        await client.query(`${confirmAll} and id > $1 and id <= $2`, [index * part, (index + 1) * part]);
      }),
    );
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}
