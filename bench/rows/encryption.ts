import { randomBytes } from 'node:crypto';
import { Client } from '@temporalio/client';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { dataConverterOf } from '../../packages/keystride/src/settings/data-converter.ts';
import { type Bench, startWorker } from '../bench.ts';
import { inRounds, warmUp } from '../contest.ts';
import { figuresOf } from '../figures.ts';
import type { Request, Results } from '../request.ts';
import { noopContest } from './noop.ts';

/** Many small pages, since what is encrypted is what each page says. */
const size = { items: 1_000_000, chunkSize: 100 };

const taskQueue = 'bench-encrypted';

/** The same job beside itself, with all that it says to Temporal encrypted. */
export async function measureEncryption(bench: Bench, { runs }: Request): Promise<Results> {
  const keys = { KEYSTRIDE_ENCRYPTION_KEYS: `bench=${randomBytes(32).toString('base64')}` };
  const environment = { ...bench.workerEnvironment, ...keys, KEYSTRIDE_TASK_QUEUE: taskQueue };
  const worker = await startWorker(bench.stack, environment, 'worker-encrypted');
  try {
    const { connection, options } = bench.client;
    const dataConverter = dataConverterOf(loadConfig(keys).encryption);
    const client = new Client({ connection, namespace: options.namespace, dataConverter });
    const plain = noopContest(bench, size);
    const sealed = noopContest({ ...bench, client, config: { ...bench.config, taskQueue } }, size);
    const ways = {
      plain: plain.ways.ours,
      encrypted: sealed.ways.ours,
    };
    const contest = { ...plain, ways };
    for (const way of ['plain', 'encrypted'] as const) await warmUp(bench, contest, way);
    const { encrypted, ...limits } = await inRounds(bench, runs, contest);
    // Memory and processor time were looked at of the other worker.
    return {
      encryption: figuresOf(
        limits,
        encrypted.map((one) => ({ ...one, workerMaxRssMb: null, cpuSeconds: null })),
      ),
    };
  } finally {
    await worker.stop();
  }
}
