import { chunks, SkipItem, type StepsOf } from 'keystride';
import { keysetReader } from 'keystride/postgres';
import type { purchaseConfirmation } from '../contract/purchase-confirmation.ts';
import { target } from '../tables.ts';
import type { Resources } from '../resources.ts';

/**
 * The job updates the very column that it selects by. Paging by offset would jump over as many orders as it has just
 * confirmed; paging by key does not look back, so the page may move under its feet.
 */
function unconfirmed(deliveredBefore: string) {
  return (
    target
      .selectFrom('orders')
      .select(['id', 'amount'])
      .where('purchase_confirmed_at', 'is', null)
      // A bare date would begin at midnight of whatever time zone the database session is in.
      .where('delivered_at', '<', `${deliveredBefore}T00:00:00Z`)
  );
}

/** One statement a chunk. A customer may be confirming in this very moment: then the time that is there stays. */
const confirmOrders = `
  UPDATE orders SET purchase_confirmed_at = now()
   WHERE id = ANY ($1::bigint[]) AND purchase_confirmed_at IS NULL`;

export const purchaseConfirmationSteps = ({
  database: pool,
}: Pick<Resources, 'database'>): StepsOf<typeof purchaseConfirmation> => ({
  confirm: ({ parameters }) =>
    chunks({
      reader: keysetReader({
        pool,
        query: unconfirmed(parameters.deliveredBefore),
        table: 'orders',
        key: ['id'],
      }),
      processor: ({ id, amount }) => {
        if (Number(amount) < 0) throw new SkipItem('NEGATIVE_AMOUNT', 'the amount is negative');
        return id;
      },
      writer: {
        write: async (ids, transaction) => {
          const { rowCount } = await transaction.query(confirmOrders, [ids]);
          // Those that their customers have confirmed meanwhile are filtered: the books say what this job has done.
          return rowCount ?? 0;
        },
      },
    }),
});
