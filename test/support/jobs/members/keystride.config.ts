import { defineConfig } from 'keystride/config';
import { defineWorker } from 'keystride/worker';
import { createMemberItems, memberItems } from '../member-items.ts';

/** The job with sensitive parameters alone. */
export default defineConfig({
  jobs: [memberItems],
  workflows: './workflows.ts',
  worker: defineWorker({ resources: {}, jobs: () => [createMemberItems()] }),
});
