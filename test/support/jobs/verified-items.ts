import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { z } from 'zod';
import {
  chunks,
  chunkStep,
  cursorOf,
  defineJob,
  listReader,
  type RegisteredJob,
  registerJob,
  type VerificationWork,
  verificationStep,
} from 'keystride';

const parameters = z.object({
  run: z.string(),
  items: z.int(),
  /** Every so-manieth item is asked for in the target, the first one among them. */
  askedEvery: z.int(),
  comparisonMilliseconds: z.int().default(0),
});

type Told = z.output<typeof parameters>;

/** Items that nobody has written, and two verifications that look for them, a comparison a page. */
export const verifiedItems = defineJob({
  name: 'verifiedItems',
  description: 'Items that nobody has written, and two verifications that look for them',
  parameters,
  steps: { write: chunkStep(), compare: verificationStep(), compareAgain: verificationStep() },
  policies: () => ({
    compare: { chunkSize: 10, pageSeconds: 0 },
    compareAgain: { chunkSize: 10, pageSeconds: 0 },
  }),
});

export const verifiedItemsTable = 'CREATE TABLE verified_item (run text NOT NULL, item int NOT NULL)';

export function createVerifiedItems(database: pg.Pool): RegisteredJob {
  const compare = ({ parameters: told }: { readonly parameters: Told }) => comparisonOf(database, told);
  return registerJob(verifiedItems, {
    write: ({ parameters: { run, items } }) =>
      chunks({
        reader: listReader(items, (index) => index),
        processor: (item) => item,
        writer: {
          write: async (written: readonly number[], transaction) => {
            await transaction.query('INSERT INTO verified_item SELECT $1, unnest($2::int[])', [run, written]);
          },
        },
      }),
    compare,
    compareAgain: compare,
  });
}

function comparisonOf(
  database: pg.Pool,
  { run, items, askedEvery, comparisonMilliseconds }: Told,
): VerificationWork {
  return {
    repair: { step: 'write' },
    comparePage: async (position, limit) => {
      await delay(comparisonMilliseconds);
      const first = Number(position ?? 0);
      const end = Math.min(items, first + limit);
      const { rows } = await database.query<{ item: number }>(
        `SELECT item FROM generate_series($2::int, $3) AS item WHERE item % $4 = 0
            AND NOT EXISTS (SELECT FROM verified_item AS there WHERE there.run = $1 AND there.item = item.item)`,
        [run, first, end - 1, askedEvery],
      );
      return {
        position: end < items ? end : null,
        compared: end - first,
        differences: rows.map(({ item }) => ({ told: `item ${item}`, rerun: cursorOf([String(item)]) })),
      };
    },
  };
}
