import { sql } from 'kysely';
import { chunks, failure, type ParametersOf, SkipItem, type StepsOf, ToldError } from 'keystride';
import { classifyInProgress, HttpStatusError } from 'keystride/http';
import { addToOutbox, keysetReader, markAsSent, outboxReader, type Transaction } from 'keystride/postgres';
import type { couponExchange } from '../contract/coupon-exchange.ts';
import { target } from '../tables.ts';
import type { Resources } from '../resources.ts';

type Parameters = ParametersOf<typeof couponExchange>;

/** A coupon in a member's hands. */
interface MemberCoupon {
  readonly id: string;
  readonly member_id: string;
}

export const couponExchangeSteps = ({
  database: pool,
  messageProvider,
}: Resources): StepsOf<typeof couponExchange> => ({
  createCoupon: ({ parameters, instance }) => ({
    run: async (transaction) => {
      // Found out now rather than when the coupons are exchanged and nobody can be told.
      void messageProvider.api;
      await refuseUnknownCoupon(transaction, parameters);
      return { couponId: await createCoupon(transaction, parameters, instance) };
    },
  }),

  exchangeCoupons: ({ parameters, instance }) =>
    chunks({
      // The job itself changes what this query matches; paging by key misses nothing all the same.
      reader: keysetReader({
        pool,
        query: target
          .selectFrom('member_coupon')
          .select(['id', 'member_id'])
          .where('coupon_id', '=', String(parameters.expiredCouponId))
          .where('status', '=', 'UNUSED'),
        table: 'member_coupon',
        key: ['id'],
      }),
      processor: (coupon) => coupon,
      writer: {
        write: async (coupons, transaction) => {
          const couponId = await findCreatedCoupon(transaction, instance);
          await exchange(transaction, coupons, { from: String(parameters.expiredCouponId), to: couponId });
          // A member with several coupons gets one message: the outbox keeps one for each recipient.
          await addToOutbox(
            transaction,
            instance,
            coupons.map(({ member_id }) => ({
              recipient: member_id,
              payload: { memberId: member_id, text: messageText(parameters) },
            })),
          );
        },
      },
    }),

  notifyMembers: ({ instance }) =>
    chunks({
      reader: outboxReader(pool, instance),
      // Sent outside of the transaction and marked in it. A crash in between sends it again, under the same key.
      processor: async (message, context) => {
        const { idempotencyKey, payload: body } = message;
        try {
          await messageProvider.api.post({ path: '/messages', idempotencyKey, body, ...context });
          return message;
        } catch (error) {
          throw expectedRefusal(error) ?? error;
        }
      },
      hasEffects: true,
      calls: () => messageProvider.api.calls,
      writer: { write: markAsSent },
      classifiers: [classifyInProgress],
    }),
});

/** @throws JobParametersInvalid; the tasklet then rolls back, and no coupon is created. */
async function refuseUnknownCoupon(transaction: Transaction, { expiredCouponId }: Parameters): Promise<void> {
  const found = await transaction.run(
    target.selectFrom('coupon').select('id').where('id', '=', String(expiredCouponId)),
  );
  if (found.length > 0) return;
  throw failure(
    'JobParametersInvalid',
    `couponExchange cannot exchange coupon ${expiredCouponId}: there is none with this id. Nothing was written. ` +
      'Start it with the id of a coupon as expiredCouponId.',
  );
}

/** Creates the new coupon. @returns its id. */
async function createCoupon(
  transaction: Transaction,
  { name, description, amountType, amount }: Parameters,
  instance: string,
): Promise<string> {
  const [coupon] = await transaction.run(
    target
      .insertInto('coupon')
      .values({ name, description, amount_type: amountType, amount, created_by_instance: instance })
      .returning('id'),
  );
  return (coupon as { id: string }).id;
}

/**
 * The coupon that an earlier step of this instance has created. It is asked from the database, which knows it in every
 * execution, redrive and attempt.
 */
async function findCreatedCoupon(transaction: Transaction, instance: string): Promise<string> {
  const [coupon] = await transaction.run(
    target.selectFrom('coupon').select('id').where('created_by_instance', '=', instance),
  );
  if (coupon) return coupon.id;
  throw new ToldError(
    `the coupon that ${instance} has created is gone; restore it, then start the job again`,
  );
}

/**
 * Makes coupons of one kind into coupons of another, in one statement.
 *
 * @throws SkipItem when one of them was used, or exchanged by somebody else, since it was read. The engine then writes
 * the chunk in halves until it has found which.
 */
async function exchange(
  transaction: Transaction,
  coupons: readonly MemberCoupon[],
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const exchanged = await transaction.run(
    target
      .updateTable('member_coupon')
      .set({ coupon_id: to, exchanged_from: from, exchanged_at: sql<string>`clock_timestamp()` })
      .where(sql<boolean>`id = ANY(${coupons.map(({ id }) => id)}::bigint[])`)
      .where('coupon_id', '=', from)
      .where('status', '=', 'UNUSED')
      .returning('id'),
  );
  if (exchanged.length < coupons.length)
    throw new SkipItem('USED_MEANWHILE', 'the coupon was used or exchanged after it was read');
}

function messageText({ name, description, amountType, amount }: Parameters): string {
  const worth = amountType === 'RATE' ? `${amount} % off` : `${amount.toLocaleString('en')} won off`;
  return `Your expired coupons were exchanged for "${name}": ${worth}. ${description}`.trim();
}

/** What the message provider may say about one member, by the code of its answer: sending again would not help. */
const expectedRefusals: Readonly<Record<string, string>> = {
  UNKNOWN_PHONE: 'the message provider does not reach the phone of this member',
  UNSUBSCRIBED: 'this member does not want messages',
};

/** Any other refusal (a key that has run out, a field that the provider does not take) is nobody's own and fails. */
function expectedRefusal(error: unknown): SkipItem | undefined {
  if (!(error instanceof HttpStatusError) || error.status >= 500 || error.code === undefined)
    return undefined;
  const reason = expectedRefusals[error.code];
  return reason === undefined ? undefined : new SkipItem(error.code, reason);
}
