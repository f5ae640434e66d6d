import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import {
  type AnyChunkWork,
  type AnySetWork,
  chunks,
  chunkStep,
  defineJob,
  listReader,
  type RegisteredJob,
  registerJob,
  sets,
} from 'keystride';
import { numberRanges } from './number-ranges.ts';

const parameters = z.object({
  run: z.string(),
  slow: z.enum(['reader', 'processor', 'preparation', 'writer', 'set']),
  chunks: z.int(),
  chunkSize: z.int(),
  /** What the slow part takes for a whole chunk. */
  chunkMilliseconds: z.int(),
  concurrency: z.int().default(1),
  partitions: z.int().default(1),
  pageSeconds: z.number().optional(),
});

type Slow = z.output<typeof parameters>;

/** Items of which one part, as told, takes long. */
export const slowParts = defineJob({
  name: 'slowParts',
  description: 'Items with a slow reader, processor or writer',
  parameters,
  steps: { items: chunkStep() },
  policies: ({ chunkSize, concurrency, partitions, pageSeconds }) => ({
    items: {
      ...{ chunkSize, concurrency, partitions, window: partitions },
      ...(pageSeconds === undefined ? {} : { pageSeconds }),
    },
  }),
});

export function createSlowParts(): RegisteredJob {
  return registerJob(slowParts, { items: ({ parameters: told }) => workOf(told) });
}

function workOf(told: Slow): AnyChunkWork | AnySetWork {
  const { slow, chunkMilliseconds: milliseconds, chunkSize } = told;
  if (slow === 'set')
    return sets({
      reader: numberRanges(told.chunks * chunkSize),
      write: async ({ rows }, transaction) => {
        await transaction.query('SELECT pg_sleep($1)', [milliseconds / 1000]);
        return rows;
      },
    });
  const list = listReader(told.chunks * chunkSize, (index) => index);
  return chunks({
    reader: {
      ...list,
      read: async (request) => {
        if (slow === 'reader') await delay(milliseconds);
        return list.read(request);
      },
    },
    processor: (item) =>
      slow === 'processor'
        ? delay((milliseconds / chunkSize) * Math.min(told.concurrency / told.partitions, chunkSize), item)
        : item,
    writer: {
      prepare: async () => void (slow === 'preparation' && (await delay(milliseconds))),
      write: async (_, transaction) => {
        if (slow === 'writer') await transaction.query('SELECT pg_sleep($1)', [milliseconds / 1000]);
      },
    },
  });
}
