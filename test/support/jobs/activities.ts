import { setTimeout as delay } from 'node:timers/promises';
import type { Resources } from '../../../src/activities/resources.ts';
import { chunks, SkipItem } from '../../../src/engine/activity/chunks.ts';
import { type RegisteredJob, registerJob } from '../../../src/engine/activity/registry.ts';
import { listReader } from '../../../src/stores/list/list-reader.ts';
import { keysetReader } from '../../../src/stores/postgres/keyset-reader.ts';
import { migration } from '../../../src/stores/postgres/sql.ts';
import { noopItems, noopTargets, scriptedItems } from './contract.ts';
import { createFixtureJobs } from './fixture-activities.ts';

const nowhere = { write: () => Promise.resolve() };

/** Jobs that exist for tests and measurements alone. */
export function createTestJobs(resources: Resources): RegisteredJob[] {
  return [
    ...createFixtureJobs(resources.migration),
    registerJob(noopTargets, {
      read: () =>
        chunks({
          reader: keysetReader({
            pool: resources.migration,
            query: migration.selectFrom('migration_target').select(['id', 'ticket_key']),
            table: 'migration_target',
            key: ['id'],
          }),
          processor: (target) => target,
          writer: nowhere,
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
    registerJob(scriptedItems, {
      pass: ({ parameters: { items, skipEvery, itemMilliseconds } }) =>
        chunks({
          reader: listReader(items, (index) => index),
          processor: async (item, { signal }) => {
            if (itemMilliseconds > 0) await delay(itemMilliseconds, undefined, { signal });
            if (skipEvery > 0 && item % skipEvery === 0) throw new SkipItem('SCRIPTED', 'skipped as told');
            return item;
          },
          writer: nowhere,
        }),
    }),
  ];
}
