import type { Command } from 'commander';
import { count, keystride, wholeNumber } from 'keystride/command';
import { createDemoOrders } from '../../demo-data/orders.ts';
import { kindCommand, makeKind, type KindOptions } from './kind.ts';

const help = `
The rows go into table orders of the target database (DATABASE_URL), where purchaseConfirmation finds them: 95 of 100
were delivered in September 2025, the others are on their way.

Examples:
  $ keystride demo-data orders --count 1000000
  $ keystride demo-data orders --count 10000 --negative-every 2500 --reset`;

/** `keystride demo-data orders` */
export function ordersCommand(): Command {
  return kindCommand('orders', 'orders whose purchase has to be confirmed', help)
    .option('--negative-every <n>', 'every so many orders one has a negative amount', wholeNumber(1))
    .action(orders);
}

function orders({ negativeEvery, ...options }: KindOptions & { negativeEvery?: number }): Promise<void> {
  const own = negativeEvery === undefined ? {} : { negativeEvery };
  return makeKind(
    options,
    'orders',
    (request) => createDemoOrders({ ...request, ...own }),
    (made) => ({
      told: `${count(made.orders)} orders, ${count(made.unconfirmed)} of them delivered and not confirmed`,
      next: `${keystride} start purchaseConfirmation --param deliveredBefore=2025-10-01 --watch`,
    }),
  );
}
