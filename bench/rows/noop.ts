import { runJob, type Bench } from '../bench.ts';
import type { Contest } from '../contest.ts';

/** How many items a run has, and how many of them a chunk. */
export interface NoopSize {
  readonly items: number;
  readonly chunkSize: number;
}

/** The least that an engine could do: a loop that commits a checkpoint a chunk. */
export type NoopWay = 'bareCommits' | 'ours' | 'fourPartitions';

/** A job that writes nothing, beside the bare commits that its checkpoints need. */
export function noopContest(bench: Bench, { items, chunkSize }: NoopSize): Contest<NoopWay> {
  const name = `noop ${items} items, chunk ${chunkSize}`;
  const ours = (partitions: number) => (round: number) =>
    runJob(
      bench,
      'noop',
      { items, chunkSize, partitions },
      `${name}, ${partitions} partitions, run ${round}`,
    );
  return {
    prepare: () => prepare(bench),
    check: () => Promise.resolve(),
    ways: {
      bareCommits: () => commitEachChunk(bench, items, chunkSize),
      ours: async (round) => refuseOther(await ours(1)(round), items),
      fourPartitions: async (round) => refuseOther(await ours(4)(round), items),
    },
  };
}

async function prepare({ database }: Bench): Promise<void> {
  await database.query('drop table if exists bench_checkpoint');
  await database.query(
    `create table bench_checkpoint (name text primary key, seq bigint not null, cursor text, read bigint not null)
       with (fillfactor = 50)`,
  );
  await database.query(`insert into bench_checkpoint values ('noop', 0, null, 0)`);
  await database.query('checkpoint');
}

/** Walks the items in this process and commits after each chunk how far it has come, by compare-and-set. */
async function commitEachChunk({ database }: Bench, items: number, chunkSize: number): Promise<void> {
  let last = 0;
  for (let chunk = 0; last < items; chunk++) {
    const upTo = Math.min(items, last + chunkSize);
    const read: number[] = [];
    while (last < upTo) read.push(++last);
    const { rowCount } = await database.query({
      name: 'bench-checkpoint',
      text: `update bench_checkpoint set seq = seq + 1, cursor = $1, read = read + $2 where name = 'noop' and seq = $3`,
      values: [String(last), read.length, chunk],
    });
    if (rowCount !== 1) throw new Error(`chunk ${chunk} did not commit`);
  }
}

function refuseOther({ steps }: { readonly steps: readonly { readonly written: number }[] }, items: number) {
  const written = steps.reduce((sum, step) => sum + step.written, 0);
  if (written !== items) throw new Error(`${written} of ${items} items came through`);
}
