import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import {
  chunks,
  listReader,
  type Reader,
  type RegisteredJob,
  registerJob,
  type StepContext,
} from 'keystride';
import { HttpStatusError, retryAfter } from 'keystride/http';
import { inTransaction, keysetReader, type Transaction } from 'keystride/postgres';
import { target } from '../../../src/tables.ts';
import {
  type Fault,
  fixture,
  fixtureFinish,
  fixtureFlow,
  fixtureHold,
  fixtureOnce,
  fixtureTable,
  type Script,
} from './fixture-contract.ts';
import { raise } from './fixture-errors.ts';

/**
 * The jobs of the conformance tests. What they write is in `fixture_output`, by the chunk's transaction; how often they
 * were called is in `fixture_call`, by a connection of their own that no rollback touches.
 */
export function createFixtureJobs(database: pg.Pool): RegisteredJob[] {
  const calls = new pg.Pool({ ...database.options, max: 6, application_name: 'keystride fixture' });
  calls.on('error', () => undefined);
  const items = (step: string) => (context: StepContext<Script>) => new ScriptedStep(calls, step, context);
  const scripted = (step: string) => (context: StepContext<Script>) => items(step)(context).work();
  const flowSteps = {
    prepare: (context: StepContext<Script>) => items('prepare')(context).tasklet(),
    items: scripted('items'),
    more: scripted('more'),
    finish: noting('finish'),
  };
  return [
    registerJob(fixture, { items: scripted('items') }),
    registerJob(fixtureOnce, { items: scripted('items') }),
    registerJob(fixtureTable, { items: (context) => items('items')(context).work(tableReader(database)) }),
    registerJob(fixtureHold, { items: scripted('items') }),
    registerJob(fixtureFlow, flowSteps),
    registerJob(fixtureFinish, flowSteps),
  ];
}

const noting =
  (step: string) =>
  ({ parameters }: StepContext<Script>) => ({
    run: (transaction: Transaction) => note(transaction, parameters.run, step),
  });

/** The effect of a tasklet: one row. Its result is the row's id. */
async function note(transaction: Transaction, run: string, step: string): Promise<{ readonly id: number }> {
  const { rows } = await transaction.query<{ id: string }>(
    'INSERT INTO fixture_output (run, step, item) VALUES ($1, $2, 1) RETURNING id',
    [run, step],
  );
  return { id: Number(rows[0]?.id) };
}

/** The items are rows of a table that every database of the tests has. */
function tableReader(pool: pg.Pool): Reader<number> {
  const reader = keysetReader({
    pool,
    query: target.selectFrom('migration_target').select(['id']),
    table: 'migration_target',
    key: ['id'],
  });
  return {
    plan: (request) => reader.plan(request),
    ...(reader.split ? { split: reader.split } : {}),
    read: async (request) => {
      const page = await reader.read(request);
      return { ...page, items: page.items.map(({ id }) => Number(id)) };
    },
  };
}

function keptOf(item: number, how: 'some' | 'much' | 'throws'): unknown {
  if (how === 'throws') throw new Error('nothing can be kept');
  return how === 'some' ? { item, 'odd\0name': ['a zero\0', null] } : 'x'.repeat(100_000);
}

/** A chunk step that does to each item what its script says. */
class ScriptedStep {
  readonly #pool: pg.Pool;
  readonly #step: string;
  readonly #told: Script;

  constructor(pool: pg.Pool, step: string, { parameters }: StepContext<Script>) {
    this.#pool = pool;
    this.#step = step;
    this.#told = parameters;
  }

  work(reader: Reader<number> = this.#reader()) {
    const { skipPolicy, keepItem } = this.#told;
    return chunks<number, number>({
      reader,
      processor: (item, { signal }) => this.#process(item, signal),
      writer: { write: (items, transaction) => this.#write(items, transaction) },
      beforeStep: () => this.#hook('beforeStep'),
      afterStep: () => this.#hook('afterStep'),
      onSkip: (skips) => {
        for (const { item, key } of skips)
          for (const fault of this.#faults('onSkip', item ?? Number(key) + 1)) raise(fault);
        return Promise.resolve();
      },
      ...(keepItem === 'none' ? {} : { keepItem: (item: number) => keptOf(item, keepItem) }),
      ...(skipPolicy === 'none'
        ? {}
        : {
            skipPolicy: (error: unknown) => {
              if (skipPolicy === 'throws') throw new Error('the skip policy cannot decide');
              return error instanceof Error && error.name === 'ScriptedError';
            },
          }),
    });
  }

  /** Notes that it has run, when it is let. */
  tasklet() {
    return {
      run: async (transaction: Transaction) => {
        const { run, heldIn } = this.#told;
        if (heldIn === 'tasklet') await this.#held('tasklet');
        return note(transaction, run, this.#step);
      },
    };
  }

  async #held(phase: string, signal?: AbortSignal): Promise<void> {
    await this.#count(phase, [0]);
    await this.#whileHeld(0, signal);
  }

  async #hook(phase: 'beforeStep' | 'afterStep'): Promise<void> {
    const faults = this.#faults(phase, 0);
    if (faults.length === 0) return;
    const [calls = 0] = await this.#count(phase, [0]);
    for (const fault of faults) if (calls <= (fault.times ?? Infinity)) raise(fault);
  }

  #reader(): Reader<number> {
    const list = listReader(this.#told.items, (index) => {
      for (const fault of this.#faults('read', index + 1)) raise(fault);
      return index + 1;
    });
    return {
      plan: async (request) => {
        if (this.#told.heldIn === 'plan') await this.#held('plan', request.signal);
        return list.plan(request);
      },
      read: async (request) => {
        const page = await list.read(request);
        for (const item of page.items) {
          for (const fault of this.#faults('page', item)) {
            const [calls = 0] = await this.#count('page', [item]);
            if (calls <= (fault.times ?? Infinity)) await this.#loseConnection();
          }
        }
        return this.#told.oneKey ? { ...page, keyAt: () => '0' } : page;
      },
    };
  }

  /** The server ends the session under the query, as a restart or an administrator does. */
  async #loseConnection(): Promise<void> {
    await inTransaction(this.#pool, (transaction) =>
      transaction.query('SELECT pg_terminate_backend(pg_backend_pid())'),
    );
  }

  async #process(item: number, signal: AbortSignal): Promise<number | null> {
    const { itemMilliseconds, heldInProcessor, filtered, apiUrl } = this.#told;
    const [calls = 0] = await this.#count('process', [item]);
    if (itemMilliseconds > 0) await delay(itemMilliseconds, undefined, { signal });
    if (heldInProcessor.includes(item)) await this.#whileHeld(item, signal);
    if (apiUrl !== undefined) await call(apiUrl, item, signal);
    for (const fault of this.#faults('process', item)) if (calls <= (fault.times ?? Infinity)) raise(fault);
    return filtered.includes(item) ? null : item;
  }

  async #write(given: readonly number[], transaction: Transaction): Promise<number | void> {
    const { run, heldInWriter, swallowedAt, alreadyThere, miscount } = this.#told;
    const calls = await this.#count('write', given);
    const items = given.filter((item) => !alreadyThere?.includes(item));
    const failing = given.flatMap((item, index) =>
      this.#faults('write', item).filter(({ times }) => (calls[index] ?? 0) <= (times ?? Infinity)),
    );
    const refused = new Set(failing.filter(({ error }) => error === 'constraint').map(({ item }) => item));
    await transaction.query(
      'INSERT INTO fixture_output (run, step, item) SELECT $1, $2, unnest($3::int[])',
      // The table takes none below zero.
      [run, this.#step, items.map((item) => (refused.has(item) ? -item : item))],
    );
    for (const item of items) if (heldInWriter.includes(item)) await this.#whileHeld(item);
    if (items.includes(swallowedAt)) await transaction.query('SELECT 1 / 0').catch(() => undefined);
    // After the rows: what an error leaves behind is for the engine to take back.
    for (const fault of failing) raise(fault);
    return alreadyThere === undefined ? undefined : items.length + miscount;
  }

  #faults(phase: Fault['phase'], item: number): Fault[] {
    return this.#told.faults.filter(
      (fault) => fault.phase === phase && fault.item === item && fault.step === this.#step,
    );
  }

  /** Counts a call for each of these items. @returns how many each has had, in the same order. */
  async #count(phase: string, items: readonly number[]): Promise<number[]> {
    const { rows } = await this.#pool.query<{ item: number; calls: number }>(
      `INSERT INTO fixture_call (run, step, phase, item, calls)
       SELECT $1, $2, $3, item, 1 FROM unnest($4::int[]) AS item ORDER BY item
       ON CONFLICT (run, step, phase, item) DO UPDATE SET calls = fixture_call.calls + 1
       RETURNING item, calls`,
      [this.#told.run, this.#step, phase, items],
    );
    const calls = new Map(rows.map((row) => [row.item, row.calls]));
    return items.map((item) => calls.get(item) ?? 0);
  }

  async #whileHeld(item: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const { rowCount } = await this.#pool.query('SELECT FROM fixture_hold WHERE run = $1 AND item = $2', [
        this.#told.run,
        item,
      ]);
      if (rowCount === 0) return;
      await delay(25, undefined, { signal });
    }
  }
}

/** Calls the API of a test with an item. */
async function call(apiUrl: string, item: number, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`${apiUrl}?item=${item}`, { signal });
  await answer.arrayBuffer();
  if (answer.ok) return;
  const header = answer.headers.get('retry-after') ?? undefined;
  throw new HttpStatusError(answer.status, { retryAfterMs: retryAfter(header) });
}
