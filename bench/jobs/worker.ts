import { createJobs } from '../../src/activities/index.ts';
import { runWorker } from '../../packages/keystride/src/host/run-worker.ts';
import { createBenchJobs } from './activities.ts';

/** The worker of the product, with the jobs of the measurements. Its workflow bundle is made of `workflows.ts` beside it. */
await runWorker((resources) => [...createJobs(resources), ...createBenchJobs()]);
