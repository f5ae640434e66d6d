import { defineConfig } from 'keystride/config';

/** The jobs of this repository, as `keystride` and its workers find them. What a command does not need is not loaded. */
export default defineConfig({
  jobs: async () => (await import('./src/contract/index.ts')).catalogue,
  workflows: './src/workflows/index.ts',
  worker: () => import('./src/activities/index.ts'),
  // Leave this out when another tool makes your tables.
  migrations: [{ name: 'keystride-project', folder: './migrations' }],
  prove: { fill: async (request) => (await import('./src/sample-rows/index.ts')).fill(request) },
});
