import { setTimeout as delay } from 'node:timers/promises';
import { emptyLedger, type Bench } from '../bench.ts';
import { deliver, startDelivered } from '../delivered.ts';
import { figuresOf, rounded, type Figures, type Observation } from '../figures.ts';
import { cpuSecondsOf, residentMb } from '../processes.ts';
import type { Request, Results } from '../request.ts';
import { historyOf } from '../../test/support/history.ts';

/** A queue that no other worker listens to. */
const taskQueue = 'bench-idle';

/** What a worker is left alone for before it is looked at, and for each look, in seconds. */
const settleSeconds = 15;
const lookSeconds = 20;

/** The most of a core that a worker may take which has no work; and one whose only work is a sync without changes. */
const shares = { idle: 0.005, idleSync: 0.01 } as const;

type IdleKey = keyof typeof shares;

/** Processor time of the worker while it was looked at is what counts; `seconds` is that. */
export interface IdleFigures extends Figures {
  /** Of one core, 0 to 1. */
  readonly share: number;
  /** Resident at the end, in MB. */
  readonly residentMb: number | undefined;
  /** That the sync leaves with Temporal. */
  readonly eventsAnHour?: number;
}

/** A worker as it is delivered, that has nothing to do, and then a continuous sync of a table in which nothing changes. */
export async function measureIdle(bench: Bench, request: Request): Promise<Results> {
  const delivered = await deliver(bench);
  const worker = await startDelivered(bench, delivered, { name: 'worker-idle', taskQueue });
  try {
    const pid = worker.pid ?? 0;
    const results: Results = {};
    if (request.keys.has('idle')) results.idle = await looks(bench, pid, 'idle', request.runs);
    if (request.keys.has('idleSync')) results.idleSync = await withoutChanges(bench, pid, request.runs);
    return results;
  } finally {
    await worker.stop();
  }
}

async function withoutChanges(bench: Bench, pid: number, runs: number): Promise<IdleFigures> {
  await emptyLedger(bench);
  const sync = await bench.client.workflow.start('targetSync', {
    taskQueue,
    workflowId: 'targetSync without changes',
    args: [{ mode: 'incrementing', poll: 'continuous' }],
  });
  try {
    const events = async () => (await historyOf(bench.client, sync.workflowId)).events;
    // The first poll copies what there is.
    await delay(settleSeconds * 1000);
    const [before, began] = [await events(), performance.now()];
    const figures = await looks(bench, pid, 'idleSync', runs);
    const hours = (performance.now() - began) / 3_600_000;
    return { ...figures, eventsAnHour: Math.round(((await events()) - before) / hours) };
  } finally {
    await sync.terminate('it was looked at');
  }
}

async function looks({ note }: Bench, pid: number, key: IdleKey, runs: number): Promise<IdleFigures> {
  await delay(settleSeconds * 1000);
  const seen: Observation[] = [];
  for (let round = 1; round <= runs; round++) {
    const before = cpuSecondsOf(pid) ?? 0;
    await delay(lookSeconds * 1000);
    const seconds = rounded((cpuSecondsOf(pid) ?? 0) - before);
    note(`  round ${round}  ${key.padEnd(24)} ${seconds.toFixed(3)} s of ${lookSeconds}`);
    seen.push({ seconds, workerMaxRssMb: residentMb(pid), cpuSeconds: null });
  }
  const limit = { seconds: shares[key] * lookSeconds, workerMaxRssMb: null, cpuSeconds: null };
  const figures = figuresOf({ goal: [limit] }, seen);
  const share = rounded(figures.seconds / lookSeconds);
  return { ...figures, share, residentMb: figures.workerMaxRssMb };
}
