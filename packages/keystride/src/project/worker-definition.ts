import type pg from 'pg';
import type { z } from 'zod';
import type { RegisteredJob } from '../job/registry.ts';
import type { HealthLimits } from '../stores/postgres/health.ts';

/** Settings of the environment that a resource reads: how each is written. A resource that needs one does not say optional. */
export type Variables = Readonly<Record<string, z.ZodType>>;

/** What the variables hold, in the form that their types give them. */
export type ValuesOf<Read extends Variables> = { readonly [Name in keyof Read]: z.infer<Read[Name]> };

/**
 * Something that the work of jobs needs: a database, the client of an API. It is opened when a worker starts, asked
 * whether it answers, and closed when the worker ends, in the reverse order.
 */
export interface Resource<Value = unknown, Read extends Variables = Variables> {
  /** What people call it, in a sentence: `the source database`. */
  readonly title: string;
  /** The settings that it reads. What is missing or malformed is told before anything is opened. @default none */
  readonly variables?: Read;
  /** @throws ToldError, or anything: the worker does not start then */
  open(values: ValuesOf<Read>, context: ResourceContext): Value | Promise<Value>;
  /** Asks whether it answers; tried again for some seconds. @default it is taken to answer */
  check?(value: Value): Promise<unknown>;
  /** Why jobs should hold back on its account; null when they need not. Asked where limits are set. */
  health?(value: Value): (limits: HealthLimits) => Promise<string | null>;
  close?(value: Value): unknown;
}

/** What a resource may use of the worker that opens it. */
export interface ResourceContext {
  /** Of `DATABASE_URL`: the database that the jobs write to, with the ledger. */
  readonly database: pg.Pool;
  /** Connections that a worker opens to a database at most, where the resource does not say otherwise. */
  readonly connections: number;
}

/** A resource with its types: what `open` gets follows from `variables`. */
export function defineResource<Value, const Read extends Variables>(
  resource: Resource<Value, Read>,
): Resource<Value, Read> {
  return resource;
}

/** The resources of a worker, by the names under which its jobs know them. */
export type Resources = Readonly<Record<string, Resource>>;

/** The resources as jobs get them: what each `open` has returned, and the database of the ledger. */
export type Opened<Own extends Resources> = {
  readonly [Name in keyof Own]: Own[Name] extends { open(...given: never): infer Value }
    ? Awaited<Value>
    : never;
} & Pick<ResourceContext, 'database'>;

/** What a worker works with. */
export interface WorkerDefinition {
  readonly resources: Resources;
  /** Every job with the work behind its steps. */
  jobs(
    opened: Readonly<Record<string, unknown>> & Pick<ResourceContext, 'database'>,
  ): readonly RegisteredJob[];
}

/**
 * What the workers of a project work with: resources, and the jobs that are made with them.
 *
 * @example
 * export default defineWorker({
 *   resources: { shop: postgres({ variable: 'SHOP_DATABASE_URL', title: "the shop's database" }) },
 *   jobs: ({ database, shop }) => [registerJob(invoiceReminder, invoiceReminderSteps({ database, shop }))],
 * });
 */
export function defineWorker<const Own extends Resources>(definition: {
  readonly resources?: Own;
  readonly jobs: (opened: Opened<Own>) => readonly RegisteredJob[];
}): WorkerDefinition {
  return {
    resources: definition.resources ?? {},
    jobs: definition.jobs,
  };
}
