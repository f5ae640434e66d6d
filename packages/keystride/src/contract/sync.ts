import { z } from 'zod';
import type { Cursor } from './cursor.ts';
import type { JobDefinition } from './job.ts';
import { chunkStep, type SkipPolicy, taskletStep, verificationStep } from './policy.ts';

/** How a sync tells what it has not copied yet. */
export const syncModes = ['bulk', 'incrementing', 'timestamp', 'timestamp+incrementing'] as const;

/** One of the ways in which a sync tells what it has not copied yet. */
export type SyncMode = (typeof syncModes)[number];

const setting = { identifying: false };

/** The parameter `mode` of a sync: how it tells what it has not copied yet. */
export const syncMode = z
  .enum(syncModes)
  .default('bulk')
  .describe(
    'bulk reads the whole table; incrementing goes on above the last key, timestamp and timestamp+incrementing after the last change',
  );

/** Whether a run with these parameters follows the log of its source, rather than polling it. */
export function followsLog(parameters: Readonly<Record<string, unknown>> | null): boolean {
  return parameters?.['mode'] === 'log';
}

/** The parameters that every sync takes beside its mode: how often, how much at a time, and how carefully. */
export const syncParameters = {
  poll: z
    .enum(['once', 'continuous'])
    .optional()
    .describe('continuous goes on until it is stopped; each poll is a run of its own'),
  run: z.int().min(1).default(1).describe('which sync this is: a completed one is not run again'),
  pollSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(10)
    .describe('continuous: seconds between the end of a poll and the next')
    .meta(setting),
  sweepSeconds: z
    .int()
    .min(0)
    .default(0)
    .describe('looks for rows that committed late at most so often; 0: in every run')
    .meta(setting),
  partitions: z.int().min(1).max(64).default(4).describe('key ranges copied at a time').meta(setting),
  skipLimit: z.int().min(0).default(1000).describe('rows that the sink may refuse').meta(setting),
};

/**
 * A row that the sink refuses is skipped: it does not fit a type, violates a constraint, a trigger objects to it or leaves
 * it out without a word, the sink takes its key for that of another one in the same statement, or a value is larger than
 * can be read or written.
 */
export const refusedRows: SkipPolicy = {
  codes: [
    'SQLSTATE_22',
    'SQLSTATE_23',
    'SQLSTATE_54',
    'SQLSTATE_P0001',
    'SQLSTATE_21000',
    // What some types say of a text that is none of theirs: tsquery, jsonpath.
    'SQLSTATE_42601',
    'RowNotKept',
    'ValueTooLarge',
  ],
};

/** What a sync's steps know of its parameters. */
export interface SyncParameters {
  readonly mode: SyncMode | 'log';
  readonly sweepSeconds: number;
}

/** Where a run begins: the result of its first step. */
export interface SyncStart {
  readonly stream: string;
  /** The offset: the highest key that was copied; null to read everything. */
  readonly from: Cursor | null;
  /** The horizon since which rows below the offset may have been written; null where none are looked for. */
  readonly since: string | null;
  /** The horizon when the run began: what committed later belongs to the next run. */
  readonly horizon: string;
  /** How far the source had been written then, in bytes. Undefined from an older build. */
  readonly written?: string;
  /** `StreamOffset.moves` */
  readonly moves: number;
  /** A transaction of the source is open for so long that its rows, and no others, will come late. */
  readonly behind: boolean;
  readonly heldBackBy: HeldBackBy | null;
  /** Oids of partitions that have joined the source: the sweep copies all their rows. Undefined from an older build. */
  readonly joined?: readonly string[];
  /** What has changed since the run before without a row being written, and what follows, in words. */
  readonly told?: readonly string[];
}

/** The oldest open transaction of a source. What the role may not see is null. */
export interface HeldBackBy {
  readonly transaction: string;
  readonly processId: number | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly seconds: number | null;
}

/** The steps of every sync. */
export const syncPolicies = {
  begin: taskletStep<SyncStart>(),
  copy: chunkStep({ chunkSize: 5000, skip: refusedRows, durableEvery: 'page' }),
  sweep: chunkStep({ chunkSize: 5000, skip: refusedRows, durableEvery: 'page' }),
  remember: taskletStep(),
  /** Not part of a run: `keystride verify` asks for it. */
  verify: verificationStep({ chunkSize: 20_000 }),
};

/** What all jobs have in common that are a sync. */
export type SyncJob = JobDefinition<
  z.ZodObject<typeof syncParameters & { mode: typeof syncMode }>,
  typeof syncPolicies
>;

/** What the parameters of a sync say of its steps. */
export function policiesOfSync({
  partitions,
  skipLimit,
}: {
  readonly partitions: number;
  readonly skipLimit: number;
}) {
  return { copy: { partitions, window: partitions, skipLimit }, sweep: { skipLimit } };
}
