import type pg from 'pg';
import { type Expression, sql } from 'kysely';
import { chunks, sets, type StepsOf } from 'keystride';
import { hashComparison, keysetRanges, keysetReader, type Transaction } from 'keystride/postgres';
import type { medicationHistory } from '../contract/medication-history.ts';
import { target } from '../tables.ts';
import type { Resources } from '../resources.ts';

const marks = ['morning_taking', 'lunch_taking', 'dinner_taking', 'sleep_taking'] as const;

/** What a history row takes over from its medication. */
const copied = ['member_id', 'morning', 'lunch', 'dinner', 'sleep', ...marks] as const;

export const medicationHistorySteps = ({
  database: pool,
}: Pick<Resources, 'database'>): StepsOf<typeof medicationHistory> => ({
  // Both walk the same keys: an instance that was begun as one may be finished as the other.
  snapshot: ({ parameters: { date, variant } }) =>
    variant === 'set' ? bySet(pool, date) : byItems(pool, date),
  verify: ({ parameters: { date } }) => ({
    ...hashComparison(
      { pool, query: takenOn(date).select('id'), table: 'management', key: ['id'] },
      { pool, query: writtenFor(date), table: 'history', key: ['management_id'] },
    ),
    repair: { step: 'snapshot', work: byItems(pool, date) },
  }),
});

// Whatever is done to a row: it is written to the history once a day, and only then are its marks reset.

function bySet(pool: pg.Pool, date: string) {
  return sets({
    reader: keysetRanges({ pool, query: takenOn(date), table: 'management', key: ['id'] }),
    write: async ({ within }, transaction) => {
      const rows = takenOn(date)
        .where(within)
        .select(['id', ...copied, sql<string>`${date}::date`.as('taking_date')]);
      return writeHistory(transaction, rows);
    },
  });
}

function byItems(pool: pg.Pool, date: string) {
  return chunks({
    reader: keysetReader({
      pool,
      query: takenOn(date).select(['id', ...copied]),
      table: 'management',
      key: ['id'],
    }),
    // Rules about a single medication belong here: what is returned is written, null is left out.
    processor: (row) => row,
    writer: {
      write: (rows, transaction) => writeHistory(transaction, historyRows(date, rows)),
    },
  });
}

/** The medication that somebody was to take on a day. */
function takenOn(date: string) {
  return target
    .selectFrom('management')
    .where(sql<boolean>`NOT deleted`)
    .where('start_date', '<=', date)
    .where('end_date', '>=', date);
}

/** The history of a day, of what is still to be taken then: that of medication which has been deleted since stays. */
function writtenFor(date: string) {
  return target
    .selectFrom('history')
    .where('taking_date', '=', date)
    .where(({ exists }) =>
      exists(
        takenOn(date)
          .select('id')
          .where(sql<boolean>`management.id = history.management_id`),
      ),
    )
    .select('management_id as id');
}

type Medication = Readonly<Record<'id' | 'member_id', string> & Record<(typeof copied)[number], unknown>>;

/** Rows for the history, made of what was read: a parameter for each column, however many rows there are. */
function historyRows(date: string, rows: readonly Medication[]): Expression<unknown> {
  // Numbers and booleans need no quotes in the text of an array, so it is put together faster than a driver can.
  const column = (name: keyof Medication) => `{${rows.map((row) => row[name]).join(',')}}`;
  const booleans = copied.slice(1).map((name) => sql`${column(name)}::boolean[]`);
  return sql`SELECT *, ${date}::date
               FROM unnest(${column('id')}::bigint[], ${column('member_id')}::bigint[], ${sql.join(booleans)})`;
}

/**
 * Inserts the history rows that are not there yet, and resets the marks that those have taken over.
 *
 * A row that has its history row already is left as it is: its marks are those of another day.
 *
 * @param rows in the order of the columns: management_id, `copied`, taking_date.
 * @returns how many it has inserted.
 */
async function writeHistory(transaction: Transaction, rows: Expression<unknown>): Promise<number> {
  const [inserted] = await transaction.run(
    target
      .with('inserted', (database) =>
        database
          .insertInto('history')
          .columns(['management_id', ...copied, 'taking_date'])
          .expression(rows)
          .onConflict((conflict) => conflict.columns(['management_id', 'taking_date']).doNothing())
          .returning(['management_id', ...marks]),
      )
      .selectFrom('inserted')
      // A column of all rows is the text of one array. It goes back to the database as it came, and nobody parses it.
      .select([
        sql<number>`count(*)::int`.as('rows'),
        ...(['management_id', ...marks] as const).map((name) =>
          sql<string>`array_agg(${sql.ref(name)})::text`.as(name),
        ),
      ]),
  );
  if (!inserted || inserted.rows === 0) return 0;
  const { rows: count, management_id: ids } = inserted;
  await transaction.query(resetMarks, [ids, ...marks.map((mark) => inserted[mark])]);
  return count;
}

/**
 * A mark is reset if it was taken over. One that its member sets between the two statements stays, for the next day.
 * `ANY` finds the rows by their index; joining alone would read the table.
 */
const resetMarks = `
  UPDATE management
     SET morning_taking = morning_taking AND NOT morning_written,
         lunch_taking = lunch_taking AND NOT lunch_written,
         dinner_taking = dinner_taking AND NOT dinner_written,
         sleep_taking = sleep_taking AND NOT sleep_written,
         modified_at = now()
    FROM unnest($1::bigint[], $2::boolean[], $3::boolean[], $4::boolean[], $5::boolean[])
           AS written (management_id, morning_written, lunch_written, dinner_written, sleep_written)
   WHERE id = ANY ($1::bigint[]) AND id = management_id`;
