import type { Bench } from '../bench.ts';
import { inRounds, warmUp } from '../contest.ts';
import { figuresOf, rounded, spreadOf, type Figures, type Spread } from '../figures.ts';
import { peerOf } from '../peers/peer-of.ts';
import { springBatch } from '../peers/spring-batch.ts';
import type { Request, Results } from '../request.ts';
import { noopContest, type NoopSize } from './noop.ts';

/** The first is the row itself; with the two after it another engine has been measured. */
const sizes: readonly (NoopSize & { readonly peer: boolean })[] = [
  { items: 1_000_000, chunkSize: 1000, peer: true },
  { items: 1_000_000, chunkSize: 100, peer: true },
  { items: 200_000, chunkSize: 10, peer: true },
  { items: 3000, chunkSize: 1, peer: false },
  { items: 1_000_000, chunkSize: 10_000, peer: false },
];

/** The figures of the no-op job, for each size of a chunk. */
export interface NoopFigures extends Figures {
  /** By `items/chunkSize`. */
  readonly sizes: Readonly<Record<string, NoopSizeFigures>>;
  /** A run without any item: Temporal's part, paid once a run. */
  readonly emptyRunSeconds: number;
}

/** One size of a chunk. */
export interface NoopSizeFigures extends Figures, NoopSize {
  readonly microsecondsPerItem: number;
  /** Where a chunk's time goes, in milliseconds. */
  readonly perChunk: PerChunk;
  /** The same with four partitions. */
  readonly fourPartitions: Spread;
}

/** Milliseconds of one chunk. */
export interface PerChunk {
  readonly total: number;
  /** Temporal: a run without items, shared among the chunks. */
  readonly server: number;
  /** The bare commit. */
  readonly database: number;
  /** The rest: reading, processing, forming chunks, and waiting for the two others. */
  readonly worker: number;
}

/** What the engine costs where a job costs nothing. */
export async function measureNoop(bench: Bench, request: Request): Promise<Results> {
  bench.note('  no items');
  const emptyRunSeconds = await emptyRun(bench, request.runs);
  const measured: NoopSizeFigures[] = [];
  for (const size of sizes) measured.push(await measureSize(bench, request, size, emptyRunSeconds));
  const [first] = measured;
  if (first === undefined) return {};
  const bySize = Object.fromEntries(
    measured.map((figures) => [`${figures.items}/${figures.chunkSize}`, figures]),
  );
  const noop: NoopFigures = { ...first, sizes: bySize, emptyRunSeconds };
  return { noop };
}

async function emptyRun(bench: Bench, runs: number): Promise<number> {
  const contest = noopContest(bench, { items: 0, chunkSize: 1000 });
  await warmUp(bench, contest, 'ours');
  const { ours } = await inRounds(bench, runs, { ...contest, ways: { ours: contest.ways.ours } });
  return spreadOf(ours.map(({ seconds }) => seconds)).median;
}

async function measureSize(
  bench: Bench,
  { runs, peers }: Request,
  { peer: hasPeer, ...size }: (typeof sizes)[number],
  emptyRunSeconds: number,
): Promise<NoopSizeFigures> {
  const { items, chunkSize } = size;
  bench.note(`  ${items} items in chunks of ${chunkSize}`);
  const contest = noopContest(bench, size);
  const { bareCommits, ours, fourPartitions } = await inRounds(bench, runs, contest);
  const environment = { CHUNK: String(chunkSize) };
  const peer = await peerOf(bench, { peers: peers && hasPeer }, contest, () =>
    springBatch(bench, { job: 'noop', parameters: { items: String(items) }, environment }),
  );
  const figures = { ...figuresOf({ bareCommits }, ours), ...peer };
  return {
    ...figures,
    ...size,
    microsecondsPerItem: rounded((figures.seconds / items) * 1e6),
    perChunk: perChunk(figures, Math.ceil(items / chunkSize), emptyRunSeconds),
    fourPartitions: spreadOf(fourPartitions.map(({ seconds }) => seconds)),
  };
}

function perChunk({ seconds, limitSeconds }: Figures, chunks: number, emptyRunSeconds: number): PerChunk {
  const each = (ofAll: number) => rounded((ofAll / chunks) * 1000);
  return {
    total: each(seconds),
    server: each(emptyRunSeconds),
    database: each(limitSeconds),
    worker: each(seconds - emptyRunSeconds - limitSeconds),
  };
}
