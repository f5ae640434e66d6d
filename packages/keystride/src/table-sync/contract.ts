import { z } from 'zod';
import { defineJob } from '../contract/job.ts';
import { unquoted } from '../contract/parameters.ts';
import { chunkStep } from '../contract/policy.ts';
import { policiesOfSync, refusedRows, syncModes, syncParameters, syncPolicies } from '../contract/sync.ts';

const table = z
  .string()
  .regex(
    /^(?:(?:"(?:[^"]|"")+"|[^."]+)\.)?(?:"(?:[^"]|"")+"|[^."]+)$/u,
    'a table, as name or schema.name, is wanted; a name with a dot stands in double quotes',
  );

/** Tables of one name on both sides: one, or all of a schema. */
const tables = z
  .string()
  .regex(/^(?:(?:"(?:[^"]|"")+"|[^."]+)\.\*|(?:(?:"(?:[^"]|"")+"|[^."]+)\.)?(?:"(?:[^"]|"")+"|[^."*]+))$/u, {
    error: 'a table, as name or schema.name, or schema.* is wanted',
  });

/** A column by its name, which may stand in double quotes. */
const column = z.string().min(1, 'the name of a column is wanted');

/** `column:what`; a column with a colon in its name stands in double quotes. */
const pair = z.string().regex(/^(?:"(?:[^"]|"")+"|[^:]+):.+$/su, 'column:value is wanted');

/** The column and the value of a pair. */
export function pairOf(text: string): readonly [column: string, value: string] {
  const [, name = '', value = ''] = /^("(?:[^"]|"")+"|[^:]+):(.+)$/su.exec(text) ?? [];
  return [unquoted(name), value];
}

const setting = { identifying: false };

const columns = (description: string) => z.array(column).default([]).describe(description).meta(setting);
const pairs = (description: string) => z.array(pair).default([]).describe(description).meta(setting);

/** Copies a table of the source to one of the target, by upsert. */
export const tableSync = defineJob({
  name: 'tableSync',
  description: 'Copy a table of the source database to a table of the target database',
  parameters: z
    .object({
      source: table.optional().describe('the table to read, in SOURCE_DATABASE_URL'),
      sink: table.optional().describe('the table to write, in DATABASE_URL; otherwise the same name'),
      tables: z
        .array(tables)
        .min(1)
        .optional()
        .describe(
          'mode=log: tables to follow together, each to the one of its name; schema.* for all of a schema. Lists of columns name the table too: drop=shop.orders.note',
        ),
      mode: z
        .enum([...syncModes, 'log'])
        .default('bulk')
        .describe(
          'bulk reads the whole table; incrementing goes on above the last key, timestamp and timestamp+incrementing after the last change; log follows every change in the log of the source, deletes included',
        ),
      ...syncParameters,
      createSink: z
        .boolean()
        .default(false)
        .describe('makes a sink that is not there: the columns with their types, NOT NULL, and the key')
        .meta(setting),
      key: columns('the unique key of the source to page and upsert by; otherwise its primary key'),
      timestamp: column
        .optional()
        .describe('timestamp modes: the column that tells when a row was changed')
        .meta(setting),
      columns: columns('the columns to copy; otherwise all of them'),
      drop: columns('columns that are left out'),
      rename: pairs('column:name, where the sink calls it otherwise'),
      cast: pairs('column:type, a type that the value is converted to on its way'),
      mask: pairs('column:hash for its SHA-256, column:fixed:text for the same text in every row'),
    })
    .refine(({ source, tables: several }) => (source === undefined) !== (several === undefined), {
      path: ['source'],
      error: 'a table to read is wanted, by source, or several by tables',
    })
    .refine(
      ({ tables: several, mode, sink }) => several === undefined || (mode === 'log' && sink === undefined),
      {
        path: ['tables'],
        error: 'several tables are followed by mode=log, each to the one of its name: without sink',
      },
    )
    .refine(({ mode, timestamp }) => !mode.startsWith('timestamp') || timestamp !== undefined, {
      path: ['timestamp'],
      error: 'the timestamp modes need a timestamp column',
    }),
  steps: {
    ...syncPolicies,
    /** Only of mode=log. */
    follow: chunkStep({ chunkSize: 5000, skip: refusedRows, adaptiveChunks: { targetSeconds: 1 } }),
  },
  policies: (parameters) => ({
    ...policiesOfSync(parameters),
    follow: { skipLimit: parameters.skipLimit },
  }),
});
