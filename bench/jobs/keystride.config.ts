import { defineConfig } from 'keystride/config';
import { defineWorker } from 'keystride/worker';
import { createJobs } from '../../src/activities/index.ts';
import { catalogue } from '../../src/contract/index.ts';
import { resources } from '../../src/resources.ts';
import { createBenchJobs } from './activities.ts';

/** The jobs of the product, and those of the measurements. */
export default defineConfig({
  jobs: catalogue,
  workflows: './workflows.ts',
  worker: defineWorker({
    resources,
    jobs: (opened) => [...createJobs(opened), ...createBenchJobs()],
  }),
});
