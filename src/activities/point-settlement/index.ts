import { sql } from 'kysely';
import type pg from 'pg';
import { sets, type StepContext, type StepsOf } from 'keystride';
import { keysetRanges } from 'keystride/postgres';
import type { pointSettlement } from '../../contract/point-settlement.ts';
import { target } from '../../tables.ts';
import type { Resources } from '../../resources.ts';
import { cutOff } from './cut-off.ts';
import { type Day, eventsOf, holdDay } from './day.ts';
import { total } from './total.ts';

export const pointSettlementSteps = ({ database: pool }: Resources): StepsOf<typeof pointSettlement> => ({
  cutOff: ({ parameters: day, log }) => ({ run: (transaction) => cutOff(transaction, day, log) }),
  accrual: sumsOf(pool, 'ACCRUE', 'accrued'),
  usage: sumsOf(pool, 'USE', 'used'),
  expiry: sumsOf(pool, 'EXPIRE', 'expired'),
  total: ({ parameters: day, log }) => ({ run: (transaction) => total(transaction, day, log) }),
});

/**
 * Adds the events of one kind up into their column of `point_settlement`.
 *
 * The key puts a member's events side by side, so a range of 5,000 events is a few hundred members, and each of their
 * rows is written once; twice where a range ends between two events of a member, which is why a sum is added to what is
 * there. The checkpoint, which moves in the same transaction, keeps it from being added again.
 */
function sumsOf(pool: pg.Pool, type: string, column: 'accrued' | 'used' | 'expired') {
  return ({ parameters: day }: StepContext<Day>) => {
    const events = eventsOf(day).where('type', '=', type);
    return sets({
      reader: keysetRanges({ pool, query: events, table: 'point_event', key: ['member_id', 'id'] }),
      write: async ({ within }, transaction) => {
        await holdDay(transaction, day);
        const summed = events
          .where(within)
          .groupBy('member_id')
          .select(({ fn }) => [
            'member_id',
            sql<string>`sum(amount)::bigint`.as('points'),
            fn.countAll<string>().as('events'),
          ]);
        const [written] = await transaction.run(
          target
            .with('summed', () => summed)
            .with('settled', (database) =>
              database
                .insertInto('point_settlement')
                .columns(['settlement_date', 'member_id', column])
                .expression(
                  database
                    .selectFrom('summed')
                    .select([sql<string>`${day.date}::date`.as('settlement_date'), 'member_id', 'points'])
                    // The steps write the same rows side by side. All of them lock in this order, so none waits for
                    // one that waits for it.
                    .orderBy('member_id'),
                )
                .onConflict((conflict) =>
                  conflict.columns(['settlement_date', 'member_id']).doUpdateSet({
                    [column]: sql`${sql.ref(`point_settlement.${column}`)} + ${sql.ref(`excluded.${column}`)}`,
                  }),
                ),
            )
            .selectFrom('summed')
            .select(sql<number>`coalesce(sum(events), 0)::int`.as('events')),
        );
        return written?.events ?? 0;
      },
    });
  };
}
