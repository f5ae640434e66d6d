import { createJobs } from './activities/index.ts';
import { runWorker } from './run-worker.ts';

await runWorker(createJobs);
