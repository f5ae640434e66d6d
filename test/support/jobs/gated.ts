import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import {
  chunks,
  chunkStep,
  defineJob,
  listReader,
  type RegisteredJob,
  registerJob,
  sets,
  type StepContext,
  taskletStep,
  verificationStep,
} from 'keystride';
import type { Transaction } from 'keystride/postgres';
import { numberRanges, type Numbers } from './number-ranges.ts';

const parameters = z.object({
  run: z.string(),
  kind: z.enum(['items', 'set', 'tasklet', 'verification']).default('items'),
  items: z.int(),
  /** A chunk of n items takes so many milliseconds times n squared. */
  millisecondsOfSquare: z.number().default(0),
  /** Of each statement that writes; undefined for that of all chunks. */
  statementTimeoutMs: z.int().optional(),
  chunkSize: z.int().default(10),
  adaptiveChunks: z
    .object({ targetSeconds: z.number(), minimum: z.int(), maximum: z.int() })
    .or(z.literal(false))
    .default(false),
  rowsPerSecond: z.number().optional(),
  quietHours: z
    .array(z.object({ from: z.string(), to: z.string() }))
    .default([])
    .meta({ identifying: false }),
  partitions: z.int().default(1),
  pageSeconds: z.number().default(10),
});

type Told = z.output<typeof parameters>;

/** Numbers that are written to `gate_output`, at a pace and at times as told. */
export const gated = defineJob({
  name: 'gated',
  description: 'Numbers, written at a pace and at times as told',
  parameters,
  steps: { items: chunkStep(), once: taskletStep(), compare: verificationStep() },
  policies: ({ chunkSize, adaptiveChunks, rowsPerSecond, quietHours, partitions, pageSeconds }) => ({
    compare: { chunkSize, pageSeconds },
    items: {
      ...{ chunkSize, adaptiveChunks, quietHours, partitions, pageSeconds },
      ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }),
    },
  }),
});

/** Every row counts: nothing keeps one from being there twice. */
export const gatedTable = 'CREATE TABLE gate_output (run text NOT NULL, item int NOT NULL)';

export function createGated(): RegisteredJob {
  return registerJob(gated, { items: workOf, once: onceOf, compare: comparisonOf });
}

function workOf({ parameters: told }: StepContext<Told>) {
  if (told.kind === 'set')
    return sets({
      reader: numberRanges(told.items),
      write: async ({ first, rows }: Numbers, transaction) => {
        await write(told, upTo(first, rows), transaction);
        return rows;
      },
    });
  return chunks({
    reader: listReader(told.items, (index) => index),
    processor: (item) => item,
    writer: { write: (items: readonly number[], transaction) => write(told, items, transaction) },
  });
}

function onceOf({ parameters: told }: StepContext<Told>) {
  return { run: (transaction: Transaction) => write(told, [0], transaction) };
}

/** Compares nothing with nothing, at a pace. */
function comparisonOf({ parameters: told }: StepContext<Told>) {
  return {
    comparePage: async (position: unknown, limit: number) => {
      const compared = Math.min(limit, told.items - Number(position ?? 0));
      await delay((compared / (told.rowsPerSecond ?? Number.POSITIVE_INFINITY)) * 1000);
      const next = Number(position ?? 0) + compared;
      return { position: next < told.items ? next : null, compared, differences: [] };
    },
  };
}

async function write(told: Told, items: readonly number[], on: Transaction) {
  const { run, millisecondsOfSquare, statementTimeoutMs } = told;
  if (statementTimeoutMs !== undefined) await on.query(`SET LOCAL statement_timeout = ${statementTimeoutMs}`);
  await on.query('SELECT pg_sleep($1)', [(millisecondsOfSquare * items.length ** 2) / 1000]);
  await on.query('INSERT INTO gate_output SELECT $1, unnest($2::int[])', [run, items]);
}

function upTo(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
