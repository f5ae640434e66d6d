import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Ends the output with what has failed and why, and with one plain line of counts: of a long output the end alone may be
 * kept, and machines read that line.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const failures: string[] = [];
    const fail = (what: string, errors: readonly SerializedError[]) => {
      counts.failed++;
      failures.push(`failed: ${what}\n${errors.map(told).join('')}`);
    };
    for (const module of testModules) {
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (state === 'failed') {
          failedTests++;
          fail(`${module.relativeModuleId} > ${test.fullName}`, errors);
        } else if (state !== 'pending') counts[state]++;
      }
      // A file that breaks before its first test, or in a hook, has no failed test to count.
      if (failedTests === 0 && module.state() === 'failed')
        fail(module.relativeModuleId, [
          ...module.errors(),
          ...Array.from(module.children.allSuites(), (suite) => suite.errors()).flat(),
        ]);
    }
    for (const error of unhandledErrors) fail('outside of any test', [error]);
    // After the summary of the default reporter, which is written in the same turn.
    process.once('exit', (exitCode) => {
      // No test file, or parts that did not come up: nothing was counted, and yet it is a failure.
      const failed = exitCode === 0 ? counts.failed : Math.max(1, counts.failed);
      const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
      process.stdout.write(`${failures.join('')}${counts.passed} passed, ${failed} failed${skipped}\n`);
    });
  }
}

const mostLines = 12;

/** An error's message, with what caused it, and the first of its places that is one of ours. */
function told(error: SerializedError): string {
  const place = error.stacks?.[0];
  const lines = [
    ...error.message.split('\n').slice(0, mostLines),
    ...(place ? [`    at ${place.file}:${place.line}:${place.column}`] : []),
    ...causesOf(error).map((cause) => `because: ${cause}`),
  ];
  return lines.map((line) => `  | ${line}\n`).join('');
}

function causesOf(error: object): string[] {
  const cause: unknown = 'cause' in error ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null || !('message' in cause)) return [];
  const [first = ''] = String(cause.message).split('\n');
  return [first, ...causesOf(cause)].slice(0, mostLines);
}
