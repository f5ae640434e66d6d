import { expectTypeOf } from 'vitest';
import { z } from 'zod';
import {
  chunks,
  chunkStep,
  defineJob,
  listReader,
  type Reader,
  registerJob,
  sets,
  type StepsOf,
  taskletStep,
  verificationStep,
} from 'keystride';
import { tableWriter } from 'keystride/postgres';
import { type InputOf, type JobProgress, runJob } from 'keystride/workflow';

/*
 * What the compiler must refuse of a job. Nothing here runs: `npm run types` checks it, and an `@ts-expect-error` above a
 * line that compiles is an error itself.
 */

const invoices = defineJob({
  name: 'invoices',
  description: 'Send the invoices of a month',
  parameters: z.object({
    month: z.string(),
    copies: z.int().default(1),
    since: z.coerce.date().optional(),
  }),
  steps: {
    open: taskletStep<{ readonly openedAt: Date; readonly batch: number }>(),
    send: chunkStep(),
    close: taskletStep<void>(),
    note: taskletStep(),
    check: verificationStep(),
  },
  policies: ({ copies }) => ({ send: { concurrency: copies } }),
});

export async function flow(parameters: InputOf<typeof invoices>): Promise<JobProgress> {
  return runJob<typeof invoices>(parameters, async (job) => {
    expectTypeOf(job.parameters.month).toEqualTypeOf<string>();
    // The default is filled in, and a date has become a text on its way.
    expectTypeOf(job.parameters.copies).toEqualTypeOf<number>();
    expectTypeOf(job.parameters.since).toEqualTypeOf<string | undefined>();
    // @ts-expect-error no such parameter
    void job.parameters.year;

    const opened = await job.step('open');
    expectTypeOf(opened.result.openedAt).toEqualTypeOf<string>();
    expectTypeOf(opened.result.batch).toEqualTypeOf<number>();
    // @ts-expect-error no such result
    void opened.result.total;
    const sent = await job.step('send');
    expectTypeOf(sent.written).toEqualTypeOf<number>();
    expectTypeOf(sent.result).toEqualTypeOf<undefined>();
    expectTypeOf((await job.step('close')).result).toEqualTypeOf<null>();
    expectTypeOf((await job.step('note')).result).toEqualTypeOf<unknown>();
    expectTypeOf((await job.step('check')).result.compared).toEqualTypeOf<number>();
    // @ts-expect-error no such step
    await job.step('sent');

    const { result } = await job.run('others', nested, { batch: opened.result.batch });
    expectTypeOf(result.instance).toEqualTypeOf<string>();
    // @ts-expect-error the other job has no such parameter
    await job.run('others', nested, { batch: 1, colour: 'red' });
    // @ts-expect-error the other job's parameter is a number
    await job.run('others', nested, { batch: 'first' });
    // @ts-expect-error the other job cannot do without
    await job.run('others', nested, {});
  });
}

const nestedJob = defineJob({
  name: 'nested',
  description: 'Another job',
  parameters: z.object({ batch: z.int() }),
  steps: { only: chunkStep() },
});

function nested(parameters: InputOf<typeof nestedJob>): Promise<JobProgress> {
  return runJob<typeof nestedJob>(parameters, async (job) => void (await job.step('only')));
}

export function ofAnotherJob(parameters: InputOf<typeof nestedJob>): Promise<JobProgress> {
  // @ts-expect-error the parameters are those of another contract
  return runJob<typeof invoices>(parameters, async (job) => void (await job.step('send')));
}

export function ofNoJob(parameters: InputOf<typeof nestedJob>): Promise<JobProgress> {
  // @ts-expect-error no contract is named: nothing would be checked
  return runJob(parameters, async (job) => void (await job.step('only')));
}

interface Invoice {
  readonly id: string;
  readonly amount: number;
}

declare const reader: Reader<Invoice>;
declare const idReader: Reader<Pick<Invoice, 'id'>>;
declare function writeInvoices(invoices: readonly Invoice[]): Promise<void>;

const send = chunks({
  reader,
  processor: (invoice) => (invoice.amount > 0 ? invoice : null),
  writer: { write: writeInvoices },
});

const run = () => Promise.resolve({ openedAt: new Date(), batch: 1 });
const nothing = { run: () => Promise.resolve() };
declare const check: ReturnType<StepsOf<typeof invoices>['check']>;

registerJob(invoices, {
  open: () => ({ run }),
  send: ({ parameters }) => {
    expectTypeOf(parameters.month).toEqualTypeOf<string>();
    expectTypeOf(parameters.since).toEqualTypeOf<string | undefined>();
    // @ts-expect-error no such parameter
    void parameters.year;
    return send;
  },
  close: () => nothing,
  note: () => nothing,
  check: () => check,
});

const rest = { close: () => nothing, note: () => nothing, check: () => check };

// @ts-expect-error the step `send` is missing
registerJob(invoices, { open: () => ({ run }), ...rest });

registerJob(invoices, {
  open: () => ({ run }),
  send: () => send,
  ...rest,
  // @ts-expect-error the contract has no such step
  sent: () => send,
});

registerJob(invoices, {
  open: () => ({ run }),
  // @ts-expect-error a tasklet is no chunk step
  send: () => nothing,
  ...rest,
});

registerJob(invoices, {
  // @ts-expect-error the contract says what it returns
  open: () => ({ run: () => Promise.resolve({ batch: 1 }) }),
  send: () => send,
  ...rest,
});

// A writer that takes what the processor gives, filtered items left out.
chunks({
  reader: listReader(3, (index) => index),
  processor: (number) => (number > 1 ? `${number}` : null),
  writer: {
    write: (texts) => {
      expectTypeOf(texts).toEqualTypeOf<readonly string[]>();
      return Promise.resolve();
    },
  },
});

chunks({
  reader,
  // What can be awaited is.
  processor: ({ id }): PromiseLike<string | null> => Promise.resolve(id),
  writer: { write: () => Promise.resolve() },
});

chunks({
  reader,
  // @ts-expect-error the writer takes no ids
  processor: ({ id }) => id,
  writer: {
    write: (amounts: readonly number[]) => Promise.resolve(amounts.length),
  },
});

chunks({
  reader,
  // @ts-expect-error less than the invoice that the writer takes
  processor: ({ id }) => ({ id }),
  writer: { write: writeInvoices },
});

chunks({
  reader,
  // @ts-expect-error less than the invoice that the writer prepares
  processor: ({ id }) => ({ id }),
  writer: { prepare: writeInvoices, write: () => Promise.resolve() },
});

chunks({
  reader,
  processor: ({ id, amount }) => ({ invoice_id: id, amount }),
  writer: tableWriter({ table: 'reminder', columns: { invoice_id: 'bigint', amount: 'numeric' } }),
});

chunks({
  reader,
  // @ts-expect-error a column that the writer writes is missing
  processor: ({ id }) => ({ invoice_id: id }),
  writer: tableWriter({ table: 'reminder', columns: { invoice_id: 'bigint', amount: 'numeric' } }),
});

chunks({
  // @ts-expect-error less than the invoice that the processor takes
  reader: idReader,
  processor: (invoice: Invoice) => invoice.amount,
  writer: { write: () => Promise.resolve() },
});

declare const ranges: Parameters<typeof sets<{ upper: never; rows: number; from: string }>>[0]['reader'];

sets({ reader: ranges, write: ({ from, rows }) => Promise.resolve(from.length + rows) });

sets({
  reader: ranges,
  // @ts-expect-error the reader's ranges have no such member
  write: ({ within }) => Promise.resolve(within),
});

defineJob({
  name: 'tuned',
  description: 'A job whose policies depend on its parameters',
  parameters: z.object({ size: z.int() }),
  steps: { only: chunkStep() },
  // @ts-expect-error a chunk step has no such policy
  policies: ({ size }) => ({ only: { chunkSise: size } }),
});
