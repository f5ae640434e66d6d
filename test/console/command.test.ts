import { once } from 'node:events';
import { expect, test } from 'vitest';
import { keystride, startKeystride } from '../cli/support.ts';

const nobody = { TEMPORAL_ADDRESS: '127.0.0.1:9' };

test('the command prints where it listens, tells that Temporal is away, and ends on a signal', async () => {
  const { child, ended } = startKeystride(
    ['console', '--listen', '127.0.0.1:0', '--read-only', '-o', 'json'],
    nobody,
  );
  const [line] = (await once(child.stdout!, 'data')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const { status, headers } = await fetch(`${url}/sign-in`, { redirect: 'manual' });
  expect(status).toBe(404);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  const page = await fetch(url);
  expect(page.status).toBe(503);
  expect(await page.text()).toMatch(/Temporal (does|did) not answer/u);
  // Whatever it has met, it goes on.
  expect((await fetch(url)).status).toBe(503);
  child.kill('SIGTERM');
  expect((await ended).exitCode).toBe(0);
});

test('it does not start where everybody would come in, and says what to set', async () => {
  const { exitCode, stderr, json } = await keystride(
    ['console', '--listen', '0.0.0.0:0', '-o', 'json'],
    nobody,
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain('KEYSTRIDE_CONSOLE_TOKEN');
  expect(json()).toMatchObject({ error: { type: 'Configuration' } });
});

test('an address that is none is a mistake in the command line', async () => {
  expect((await keystride(['console', '--listen', 'everywhere'], nobody)).exitCode).toBe(2);
});
