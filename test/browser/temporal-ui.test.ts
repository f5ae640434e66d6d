import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startStack, type Stack } from '../../packages/keystride/src/dev/stack.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { dataConverterOf } from '../../packages/keystride/src/settings/data-converter.ts';
import { noBrowser, openBrowser } from '../support/chromium.ts';

/** What `keystride dev` brings up where there are keys, as far as Temporal's own pages go. */
let stack: Stack<'temporal' | 'postgres'>;
let home: string;

const keys = { KEYSTRIDE_ENCRYPTION_KEYS: `2026-11=${randomBytes(32).toString('base64')}` };
const canary = 'canary-of-the-ui';

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'keystride-ui-'));
  chmodSync(home, 0o711);
  // The servers of a stack get the environment of whoever starts it.
  Object.assign(process.env, keys);
  const { cache } = inject('keystride');
  stack = await startStack({ home, cache, console: true, parts: ['temporal', 'postgres'] });
});

afterAll(async () => {
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

test.skipIf(noBrowser)('the Temporal UI shows what is encrypted, through the codec server', async () => {
  const { temporalAddress, temporalUiUrl, codecServerUrl } = stack.info;
  expect(codecServerUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/u);
  const connection = await Connection.connect({ address: temporalAddress });
  const { encryption } = loadConfig(keys);
  const client = new Client({ connection, dataConverter: dataConverterOf(encryption) });
  const { firstExecutionRunId: runId } = await client.workflow.start('nobodyRunsThis', {
    ...{ workflowId: 'encrypted', taskQueue: 'nobody', args: [{ secret: canary }] },
  });
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`));
    await page.goto(`${temporalUiUrl}/namespaces/default/workflows/encrypted/${runId}/history`);
    await page.getByText(canary).first().waitFor({ timeout: 60_000 });
    expect(asked.join('\n')).toContain(`POST ${codecServerUrl}/`);
  } finally {
    await browser.close();
    await connection.close();
  }
});
