import { registerHooks } from 'node:module';
import { expect, onTestFinished, test } from 'vitest';
import { startTraces } from '../../packages/keystride/src/host/traces.ts';

test('nothing of OpenTelemetry is loaded without an address, and what is missing is named with one', async () => {
  const asked: string[] = [];
  const hooks = registerHooks({
    resolve: (name, context, next) => {
      if (!name.startsWith('@opentelemetry/')) return next(name, context);
      asked.push(name);
      return next(`keystride-has-no-such-package/${name}`, context);
    },
  });
  onTestFinished(() => hooks.deregister());
  await (
    await startTraces(undefined)
  )();
  expect(asked).toEqual([]);
  await expect(startTraces('http://127.0.0.1:1')).rejects.toThrow(
    /^KEYSTRIDE_TRACES is set, and packages that it needs are not installed\. Run: npm install @opentelemetry\/api /u,
  );
  expect(asked).not.toEqual([]);
});
