import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Real PostgreSQL and Temporal, once for all test files of a run.
    globalSetup: ['keystride/testing/global-setup'],
    pool: 'forks',
    // Tests run as workers do: by Node itself, which takes TypeScript as it is.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
