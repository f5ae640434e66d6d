import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import {
  chunks,
  listReader,
  type RegisteredJob,
  registerJob,
  sets,
  SkipItem,
  type StepContext,
} from 'keystride';
import { keysetRanges, keysetReader } from 'keystride/postgres';
import type { Resources } from '../../../src/resources.ts';
import { target } from '../../../src/tables.ts';
import {
  incrementTargets,
  type ItemScript,
  nestedItems,
  noopItems,
  noopTargets,
  scriptedItems,
} from './contract.ts';
import { createFixtureJobs } from './fixture-activities.ts';
import { createGated } from './gated.ts';
import { createSlowParts } from './slow-parts.ts';
import { createVerifiedItems } from './verified-items.ts';

const nowhere = { write: () => Promise.resolve() };

/** Jobs that exist for tests and measurements alone. */
export function createTestJobs(resources: Resources): RegisteredJob[] {
  return [
    ...createFixtureJobs(resources.database),
    createGated(),
    createSlowParts(),
    createVerifiedItems(resources.database),
    registerJob(noopTargets, {
      read: () =>
        chunks({
          reader: keysetReader({
            pool: resources.database,
            query: target.selectFrom('migration_target').select(['id', 'ticket_key']),
            table: 'migration_target',
            key: ['id'],
          }),
          processor: (item) => item,
          writer: nowhere,
        }),
    }),
    registerJob(incrementTargets, {
      increment: ({ parameters: { seconds } }) =>
        sets({
          reader: keysetRanges({
            pool: resources.database,
            query: target.selectFrom('migration_target'),
            table: 'migration_target',
            key: ['id'],
          }),
          write: async ({ within }, transaction) => {
            await transaction.query('SELECT pg_sleep($1)', [seconds]);
            const incremented = await transaction.run(
              target
                .updateTable('migration_target')
                .set({ member_id: sql<string>`member_id + 1` })
                .where(within)
                .where(sql<boolean>`id % 2 = 0`)
                .returning('id'),
            );
            return incremented.length;
          },
        }),
    }),
    registerJob(noopItems, {
      pass: ({ parameters }) =>
        chunks({
          reader: listReader(parameters.items, (index) => index),
          processor: (item) => item,
          writer: nowhere,
        }),
    }),
    registerJob(scriptedItems, { pass: scriptedPass }),
    registerJob(nestedItems, { pass: scriptedPass }),
  ];
}

function scriptedPass({ parameters: { items, skipEvery, itemMilliseconds } }: StepContext<ItemScript>) {
  return chunks({
    reader: listReader(items, (index) => index),
    processor: async (item, { signal }) => {
      if (itemMilliseconds > 0) await delay(itemMilliseconds, undefined, { signal });
      if (skipEvery > 0 && item % skipEvery === 0) throw new SkipItem('SCRIPTED', 'skipped as told');
      return item;
    },
    writer: nowhere,
  });
}
