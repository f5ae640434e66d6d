import type { Reporter, TestModule, SerializedError } from 'vitest/node';

/** Ends the output with one plain line of counts, for machines that read it. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of testModules) {
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'pending') continue;
        counts[state]++;
        if (state === 'failed') failedTests++;
      }
      // A file that breaks before its first test, or in a hook, has no failed test to count.
      if (failedTests === 0 && module.state() === 'failed') counts.failed++;
    }
    counts.failed += unhandledErrors.length;
    // After the summary of the default reporter, which is written in the same turn.
    process.once('exit', (exitCode) => {
      // No test file, or parts that did not come up: nothing was counted, and yet it is a failure.
      const failed = exitCode === 0 ? counts.failed : Math.max(1, counts.failed);
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
      process.stdout.write(`${counts.passed} passed, ${failed} failed${skipped}\n`);
    });
  }
}
