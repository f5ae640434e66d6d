import { setTimeout as delay } from 'node:timers/promises';
import { emptyLedger, type Bench } from '../bench.ts';
import { deliver, startDelivered } from '../delivered.ts';
import { figuresOf, rounded, type Figures, type Observation } from '../figures.ts';
import { peerOf } from '../peers/peer-of.ts';
import { springBatch } from '../peers/spring-batch.ts';
import { peakMb } from '../processes.ts';
import type { Request, Results } from '../request.ts';
import { deliveredBefore, forgetOrders, makeOrders, prepareOrders, refuseUnconfirmed } from './orders.ts';

const rows = 100_000;

/** A queue that no other worker listens to. */
const taskQueue = 'bench-start';

/** What a worker may take from its start to the first committed chunk. */
const goal: Observation = { seconds: 2, workerMaxRssMb: null, cpuSeconds: null };

/** A worker as it is delivered, with a job that waits for it. */
export async function measureStart(bench: Bench, request: Request): Promise<Results> {
  bench.note('  building');
  const delivered = await deliver(bench);
  await makeOrders(bench, rows);
  try {
    const seen: Observation[] = [];
    for (let run = 1; run <= request.runs; run++) {
      const observation = await oneStart(bench, delivered, run);
      bench.note(`  round ${run}  ${'first chunk'.padEnd(24)} ${observation.seconds.toFixed(3)} s`);
      seen.push(observation);
    }
    return { start: { ...figuresOf({ goal: [goal] }, seen), ...(await peer(bench, request)) } };
  } finally {
    await forgetOrders(bench);
  }
}

async function oneStart(bench: Bench, delivered: string, run: number): Promise<Observation> {
  const { client } = bench;
  await prepareOrders(bench, rows);
  await emptyLedger(bench);
  const job = await client.workflow.start('purchaseConfirmation', {
    taskQueue,
    workflowId: `purchaseConfirmation waiting ${run}`,
    args: [{ deliveredBefore }],
  });
  const before = performance.now();
  const starting = startDelivered(bench, delivered, { name: `worker-started-${run}`, taskQueue });
  const [worker, seconds] = await Promise.all([
    starting,
    untilFirstChunk(bench).then(() => rounded((performance.now() - before) / 1000)),
  ]);
  try {
    await job.result();
    await refuseUnconfirmed(bench, rows);
    return {
      seconds,
      workerMaxRssMb: worker.pid === undefined ? null : peakMb(worker.pid),
      cpuSeconds: null,
    };
  } finally {
    await worker.stop();
  }
}

async function untilFirstChunk({ database }: Bench): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(5)) {
    const { rowCount } = await database.query('select from keystride.checkpoint where seq > 0 limit 1');
    if (rowCount) return;
  }
  throw new Error('no chunk has committed within a minute');
}

/** Its process from start to end, with a job of one chunk that does nothing. */
function peer(
  bench: Bench,
  request: Request,
): Promise<Pick<Figures, 'peer' | 'peerSeconds' | 'peerMissing'>> {
  const nothing = () => Promise.resolve();
  return peerOf(bench, request, { prepare: nothing, check: nothing }, async () => {
    const { processSeconds, ...found } = await springBatch(bench, {
      job: 'noop',
      parameters: { items: '1' },
    });
    return { ...found, seconds: processSeconds };
  });
}
