import { createJobs } from './activities/index.ts';
import { runWorker } from '../packages/keystride/src/host/run-worker.ts';

await runWorker(createJobs);
