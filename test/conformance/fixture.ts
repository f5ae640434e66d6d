import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type pg from 'pg';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import type { ScriptInput } from '../support/jobs/fixture-contract.ts';
import { createWorld, testJobsWorker, waitFor, type World } from '../support/stack.ts';
import { startTemporalServer } from '../support/temporal-server.ts';

/** What a test tells the fixture; the run is named by the caller. */
export type Told = Omit<ScriptInput, 'run'> & { readonly flow?: string };

/** How an execution ended, in the workflow's own words. */
export interface Ending {
  /** `failed` when the workflow did; else the status in its report. */
  readonly status: string;
  /** The failure's message, or empty. */
  readonly message: string;
  readonly type: string;
  readonly report: JobProgress | undefined;
}

/** What the ledger and the fixture's own tables hold of a run. */
export interface Effects {
  readonly read: number;
  readonly filtered: number;
  readonly skipped: number;
  /** Skip rows by phase, as `read 2`: what the ledger names, by item. */
  readonly skips: readonly string[];
  /** The count that is held against the limit. */
  readonly countedSkips: number;
  /** As the ledger counts it. */
  readonly writtenCount: number;
  /** The rows that are there, in the order of the items, a doubled one twice. */
  readonly written: readonly number[];
}

/** The jobs of `test/support/jobs/fixture-activities.ts`, with a worker and the tables that they write to. */
export class Fixture {
  readonly world: World;
  readonly pool: pg.Pool;

  private constructor(world: World, pool: pg.Pool) {
    this.world = world;
    this.pool = pool;
  }

  /** @param worker whether one is started at once. */
  static async open(worker = true): Promise<Fixture> {
    const world = await createWorld({ workerProgram: testJobsWorker });
    const pool = createPool(world.databaseUrl, 'keystride conformance', 4);
    const fixture = new Fixture(world, pool);
    try {
      await pool.query(tables);
      if (worker) await world.startWorker();
    } catch (error) {
      await fixture.close();
      throw error;
    }
    return fixture;
  }

  async close(): Promise<void> {
    await this.pool.end();
    await this.world.dispose();
  }

  /** Starts an execution of the instance that `run` names. */
  start(
    run: string,
    told: Told = {},
    { job = 'fixture', workflowId }: StartOptions = {},
  ): Promise<WorkflowHandle> {
    return this.world.start(job, { run, ...told }, workflowId);
  }

  /** Starts an execution and waits for its end. */
  async run(run: string, told: Told = {}, options: StartOptions = {}): Promise<Ending> {
    return endingOf(await this.start(run, told, options));
  }

  /** What has committed of a step. */
  async effects(run: string, { job = 'fixture', step = 'items' } = {}): Promise<Effects> {
    const instance = instanceOf(run, job);
    const [books, skips, output, counted] = await Promise.all([
      this.pool.query<Record<string, string>>(
        `SELECT coalesce(sum(read), 0) AS read, coalesce(sum(filtered), 0) AS filtered,
                coalesce(sum(skipped), 0) AS skipped, coalesce(sum(written), 0) AS written
           FROM keystride.checkpoint WHERE instance_key = $1 AND step = $2`,
        [instance, step],
      ),
      this.pool.query<{ phase: string; item_key: string }>(
        'SELECT phase, item_key FROM keystride.skip WHERE instance_key = $1 AND step = $2 ORDER BY item_key::int',
        [instance, step],
      ),
      this.pool.query<{ item: number }>(
        'SELECT item FROM fixture_output WHERE run = $1 AND step = $2 ORDER BY item, id',
        [run, step],
      ),
      this.pool.query<{ skipped: string }>(
        'SELECT skipped FROM keystride.step WHERE instance_key = $1 AND step = $2',
        [instance, step],
      ),
    ]);
    const sums = books.rows[0] ?? {};
    return {
      read: Number(sums['read']),
      filtered: Number(sums['filtered']),
      skipped: Number(sums['skipped']),
      writtenCount: Number(sums['written']),
      skips: skips.rows.map(({ phase, item_key }) => `${phase} ${Number(item_key) + 1}`),
      countedSkips: Number(counted.rows[0]?.skipped ?? 0),
      written: output.rows.map(({ item }) => item),
    };
  }

  /** How often each item was given to the processor, or the writer, or read with its page. */
  async calls(
    run: string,
    phase: 'process' | 'write' | 'page' | 'plan' | 'tasklet',
    step = 'items',
  ): Promise<Record<number, number>> {
    const { rows } = await this.pool.query<{ item: number; calls: number }>(
      'SELECT item, calls FROM fixture_call WHERE run = $1 AND phase = $2 AND step = $3',
      [run, phase, step],
    );
    return Object.fromEntries(rows.map(({ item, calls }) => [item, calls]));
  }

  /** Holds an item that the script holds back, until `release`. */
  async hold(run: string, item: number): Promise<void> {
    await this.pool.query('INSERT INTO fixture_hold (run, item) VALUES ($1, $2)', [run, item]);
  }

  async release(run: string): Promise<void> {
    await this.pool.query('DELETE FROM fixture_hold WHERE run = $1', [run]);
  }

  /** Waits until an item has been given to the processor or the writer. */
  async reached(run: string, phase: 'process' | 'write', item: number, calls = 1): Promise<void> {
    await waitFor(async () => ((await this.calls(run, phase))[item] ?? 0) >= calls, {
      what: `${phase} of item ${item} of ${run}`,
    });
  }
}

/** How an execution is started. */
export interface StartOptions {
  readonly job?: string;
  readonly workflowId?: string;
}

/** The instance that a run of the fixture belongs to. */
export function instanceOf(run: string, job = 'fixture', date = '2025-10-01'): string {
  return `${job}:run=${run},date=${date}`;
}

/** Waits for the end of an execution. */
export async function endingOf(handle: WorkflowHandle): Promise<Ending> {
  try {
    const report = (await handle.result()) as JobProgress;
    return { status: report.status, message: '', type: '', report };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure)) throw error;
    const { message, type } = error.cause;
    return { status: 'failed', message, type: type ?? '', report: undefined };
  }
}

/** One failure of a script. */
export function fails(
  phase: NonNullable<ScriptInput['faults']>[number]['phase'],
  item: number,
  more: Partial<NonNullable<ScriptInput['faults']>[number]> = {},
): NonNullable<ScriptInput['faults']>[number] {
  return { phase, item, ...more };
}

/** Every one of these items called that often. */
export function each(items: readonly number[], calls = 1): Record<number, number> {
  return Object.fromEntries(items.map((item) => [item, calls]));
}

/** The integers from the first to the last. */
export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Every row of the output counts: nothing keeps one from being there twice. */
const tables = `
  CREATE TABLE fixture_output (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text NOT NULL, step text NOT NULL,
    item int NOT NULL CONSTRAINT item_is_positive CHECK (item > 0)
  );
  CREATE TABLE fixture_call (
    run text, step text, phase text, item int, calls int NOT NULL, PRIMARY KEY (run, step, phase, item)
  );
  CREATE TABLE fixture_hold (run text, item int, PRIMARY KEY (run, item));
`;

/** A fixture whose worker serves a Temporal server that is its own. */
export interface OwnServerFixture {
  readonly fixture: Fixture;
  readonly client: Client;
  close(): Promise<void>;
}

/** Opens one. @param settings of the server's dynamic configuration */
export async function openOnOwnServer(
  settings: Parameters<typeof startTemporalServer>[0],
): Promise<OwnServerFixture> {
  const temporal = await startTemporalServer(settings);
  const connection = await Connection.connect({ address: temporal.address });
  const fixture = await Fixture.open(false);
  const environment = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' };
  await fixture.world.startWorker({ environment });
  return {
    fixture,
    client: new Client({ connection }),
    close: async () => {
      await fixture.close();
      await connection.close();
      await temporal.stop();
    },
  };
}
