import { createJobs } from '../../../src/activities/index.ts';
import { runWorker } from '../../../packages/keystride/src/host/run-worker.ts';
import { createTestJobs } from './activities.ts';

/** The worker of the product, with the jobs of the tests. Its workflow bundle is made of `workflows.ts` beside it. */
await runWorker((resources) => [...createJobs(resources), ...createTestJobs(resources)]);
