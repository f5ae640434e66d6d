import { expect } from 'vitest';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';
import { failureOf, run } from './runs.ts';
import type { Stores } from './migration.ts';
import { emptyShop, onBothSides, rowsOf, type Shop } from './shop.ts';
import { waitFor } from './stack.ts';

/** What tests of tables that are followed in the log of their source do again and again. */
export interface LogSyncs {
  /** Makes the shop empty, and takes its slots away. */
  empty(): Promise<void>;
  /** Ends whoever reads a slot: a worker keeps the connection for the next page. */
  freeSlots(): Promise<void>;
  dropSlots(): Promise<void>;
  /** Those of a run that was not yet. */
  parametersOf(parameters: object): object;
  /** Runs `shop.k` to its end. */
  sync(parameters?: object): Promise<JobProgress>;
  /** Why a run has failed. */
  refusal(parameters?: object): Promise<string>;
  onBoth(statement: string): Promise<void>;
  expectSame(table?: string): Promise<void>;
}

/** @param shop once it is open. Its servers are its own: a slot waits for every transaction of its server that writes. */
export function logSyncs(shop: () => Shop): LogSyncs {
  let runs = 0;
  const parametersOf = (parameters: object) => ({
    ...('tables' in parameters ? {} : { source: 'shop.k' }),
    ...{ mode: 'log', run: (runs += 1), ...parameters },
  });
  const freeSlots = async () => {
    const { service } = shop().stores;
    await waitFor(
      async () => {
        const { rows } = await service.query(
          'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL',
        );
        return rows.length === 0;
      },
      { what: 'slots to be free' },
    );
  };
  const dropSlots = async () => {
    await freeSlots();
    const { service } = shop().stores;
    await service.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
  };
  return {
    freeSlots,
    dropSlots,
    parametersOf,
    empty: async () => {
      await dropSlots();
      await emptyShop(shop().stores);
    },
    sync: (parameters = {}) => run(shop().world, 'tableSync', parametersOf(parameters)),
    refusal: async (parameters = {}) =>
      (await failureOf(await shop().world.start('tableSync', parametersOf(parameters)))).message,
    onBoth: (statement) => onBothSides(shop().stores, statement),
    expectSame: async (table = 'shop.k') => {
      const { migration, service } = shop().stores;
      expect(await rowsOf(migration, table)).toEqual(await rowsOf(service, table));
    },
  };
}

/** Takes what the sink has for that of several moments, until the log has told all that there is by now. */
export async function asIfCopiedLater({ service, migration }: Stores): Promise<void> {
  const { rows } = await service.query<{ at: string }>('SELECT pg_current_wal_lsn()::text AS at');
  await migration.query(
    `UPDATE keystride.stream_offset SET shape = jsonb_set(shape, '{log,settledAt}', to_jsonb($1::text))`,
    [rows[0]?.at],
  );
}
