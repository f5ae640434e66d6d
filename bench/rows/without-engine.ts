import { DefaultLogger } from '@temporalio/worker';
import type pg from 'pg';
import type { KeyRange } from '../../packages/keystride/src/contract/cursor.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from '../../packages/keystride/src/job/chunks.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { chunkBounds, inTransaction } from '../../packages/keystride/src/stores/postgres/transaction.ts';
import type { Bench } from '../bench.ts';

const partitions = 4;
const chunkSize = 5_000;

/**
 * The work of a step in a loop of its own: its pages, its processor, its writer, its commits, the next page read while a
 * chunk is written. No workflow, no checkpoint, no retry, no skip, no count: whatever it takes longer than the limit, an
 * engine cannot take away.
 */
export async function withoutEngine(
  { config }: Pick<Bench, 'config'>,
  workOver: (pool: pg.Pool) => AnyChunkWork | AnySetWork,
): Promise<void> {
  const pool = createPool(config.databaseUrl, 'bench without engine', 2 * partitions);
  try {
    const work = workOver(pool);
    if (!('processor' in work)) throw new Error('a set step has no items to loop over');
    const { signal } = new AbortController();
    const { ranges } = await work.reader.plan({ partitions, signal });
    await Promise.all(ranges.map((range) => loopOver(pool, work, range)));
  } finally {
    await pool.end();
  }
}

/** What a step is told of a run that is none. */
export function noRun<Parameters>(parameters: Parameters): StepContext<Parameters> {
  return { parameters, instance: 'bench', epoch: 1, log: new DefaultLogger('ERROR') };
}

async function loopOver(pool: pg.Pool, { reader, processor, writer }: AnyChunkWork, range: KeyRange) {
  const { signal } = new AbortController();
  const context = { signal, attempt: 1, waiting: signal, reserve: () => Promise.resolve() };
  const read = (after: typeof range.lower) => reader.read({ range, after, limit: chunkSize, signal });
  for (let ahead = read(null); ;) {
    const page = await ahead;
    const count = page.items.length;
    if (count === chunkSize) ahead = read(page.cursorAt(count - 1));
    const outputs = page.items.map((item) => processor(item, context));
    await inTransaction(
      pool,
      async (transaction) => {
        if (count > 0) await writer.write(outputs, transaction);
      },
      { ...chunkBounds, waitForDisk: false },
    );
    if (count < chunkSize) return;
  }
}
