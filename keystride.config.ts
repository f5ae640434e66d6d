import { defineConfig } from 'keystride/config';

/** The jobs of this repository, as `keystride` and its workers find them. What a command does not need is not loaded. */
export default defineConfig({
  jobs: async () => (await import('./src/contract/index.ts')).catalogue,
  workflows: './src/workflows/index.ts',
  worker: () => import('./src/activities/index.ts'),
  migrations: [
    // Release 0.1.0 recorded them under other names.
    { name: 'target', formerly: 'migration', folder: './src/sql/target' },
    { name: 'source', formerly: 'service', folder: './src/sql/source', database: 'SOURCE_DATABASE_URL' },
  ],
  dev: {
    mongodb: true,
    stubs: [
      {
        name: 'legacyApi',
        program: './src/stubs/legacy-api/server.ts',
        standsFor: 'the legacy API',
        variable: 'LEGACY_API_URL',
      },
      {
        name: 'messageProvider',
        program: './src/stubs/message-provider/server.ts',
        standsFor: 'the message provider',
        variable: 'MESSAGE_PROVIDER_URL',
      },
    ],
  },
  prove: {
    stubArguments: {
      legacyApi: ['--latency=20', '--not-found=0.02', '--malformed=0.01', '--unsupported=0.01'],
    },
    // A fifth of the demo documents: every run has files.
    environment: { KEYSTRIDE_LARGEST_DOCUMENT: '16KiB' },
    fill: async (request) => (await import('./src/demo-data/to-prove.ts')).fillWithDocuments(request),
  },
  commands: [
    {
      name: 'demo',
      description: 'bring everything up and migrate documents before your eyes',
      load: async () => ({ default: (await import('./src/commands/demo.ts')).demoCommand }),
    },
    {
      name: 'demo-data',
      description: 'make data to try the jobs on',
      load: async () => ({ default: (await import('./src/commands/demo-data.ts')).demoDataCommand }),
    },
  ],
});
