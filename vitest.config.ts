import { defineConfig, type TestUserConfig } from 'vitest/config';

const shared: TestUserConfig = {
  globalSetup: ['keystride/testing/global-setup'],
  setupFiles: ['./test/support/as-command.ts', './test/support/own-environment.ts'],
  pool: 'forks',
  // A process runs many files, one after the other, and loads the library once.
  isolate: false,
  // Tests run as the product does: by Node itself, which takes TypeScript as it is.
  experimental: { viteModuleRunner: false, nodeLoader: false },
};

/** Tables of many cases on real parts, each a run or several commands of its own: minutes by their nature. */
const cases = [
  'test/workflows/postgres-upgrade.test.ts',
  'test/workflows/restored-ledger.test.ts',
  'test/workflows/canaries.test.ts',
  'test/workflows/canaries-steps.test.ts',
  'test/workflows/canaries-sensitive.test.ts',
  'test/jobs/log-sync-keys.test.ts',
  'test/jobs/log-sync-parts.test.ts',
  'test/jobs/log-sync-random.test.ts',
  'test/jobs/log-sync-verified.test.ts',
  'test/jobs/sync-changes.test.ts',
  'test/jobs/sync-refusals.test.ts',
  'test/jobs/sync-replica.test.ts',
  'test/jobs/sync-set-back.test.ts',
  'test/jobs/table-sync-settings.test.ts',
  'test/jobs/table-sync-types.test.ts',
  'test/host/traces.test.ts',
  'test/conformance/limits.test.ts',
  'test/host/encrypted-connections.test.ts',
  'test/host/secured-temporal.test.ts',
  'test/stores/pgbouncer.test.ts',
  'test/stores/limits.test.ts',
];

/** Each takes the whole machine: a million rows, memory that is measured, an API that is asked at the pace it can have. */
const alone = [
  'test/chaos/a-million-targets.test.ts',
  'test/chaos/adaptive-concurrency.test.ts',
  'test/chaos/busy-api.test.ts',
  'test/chaos/large-documents.test.ts',
  'test/chaos/large-rows.test.ts',
  'test/chaos/queueing-api.test.ts',
  'test/chaos/verify-a-million.test.ts',
  'test/chaos/prove.test.ts',
];

export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        test: {
          ...shared,
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/chaos/**', 'test/package/**', 'test/browser/**', ...cases],
          // Many wait: for time-outs of Temporal, for parts that are away. With three a quarter of two processors stood idle.
          maxWorkers: 4,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'cases',
          include: cases,
          sequence: { groupOrder: 1 },
          maxWorkers: 3,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          exclude: alone,
          // Each brings processes of its own, and waits for most of its time until somebody is missed.
          sequence: { groupOrder: 2 },
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The packed library in projects of other people: installs, builds and stacks of their own.
        test: {
          ...shared,
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          // What is installed into a new directory each time would stay in the cache of compiled code for ever.
          env: { NODE_DISABLE_COMPILE_CACHE: '1' },
          sequence: { groupOrder: 3 },
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        // The console's pages in Chromium.
        test: {
          ...shared,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          sequence: { groupOrder: 5 },
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'alone',
          include: alone,
          sequence: { groupOrder: 4 },
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
