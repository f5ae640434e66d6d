import pg from 'pg';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { testConsole, type TestConsole } from '../console/support.ts';
import { noBrowser, openBrowser } from '../support/chromium.ts';
import { looksRight, lookAt } from '../support/page-look.ts';
import { createWorld, type World } from '../support/stack.ts';

/** Jobs, schedules, skips, syncs, health and the audit in a real browser. */
let world: World;
let console: TestConsole;
let browser: Browser;

const id = 'purchaseConfirmation:deliveredBefore=2025-10-01';
const skips = `/skips/${encodeURIComponent(id)}`;

/** Every page, by the name of its picture. */
const pages: Readonly<Record<string, string>> = {
  jobs: '/jobs',
  job: '/jobs/purchaseConfirmation',
  'job-start': '/jobs/targetSync/start',
  'job-plan': '/jobs/purchaseConfirmation/plan',
  'job-schedule': '/jobs/purchaseConfirmation/schedule',
  schedules: '/schedules',
  schedule: '/schedules/nightly?from=2025-09-30&to=2025-10-03',
  'schedule-pause': '/schedules/nightly/pause',
  'schedule-backfill': '/schedules/nightly/backfill',
  'skips-all': '/skips',
  skips,
  'skips-none': `${skips}?key=nothing`,
  'skips-waive': `${skips}/waive?key=100&key=200`,
  'dead-letters': '/dead-letters',
  syncs: '/syncs',
  health: '/health',
  audit: '/audit',
};

beforeAll(async () => {
  world = await createWorld();
  Object.assign(process.env, world.environment);
  await world.startWorker();
  const ledger = new pg.Client({ connectionString: world.databaseUrl });
  await ledger.connect();
  await ledger.query(
    `insert into orders (customer_id, amount, status, delivered_at)
     select i, case when i % 100 = 0 then -1 else 100 end, 'DELIVERED', '2025-01-01' from generate_series(1, 3000) i`,
  );
  await keystride(['demo-data', 'documents', '--count', '50'], world.environment);
  await (await world.start('targetSync', { mode: 'incrementing' })).result();
  await (await world.start('purchaseConfirmation', { deliveredBefore: '2025-10-01' }, id)).result();
  await ledger.query(
    `insert into keystride.dead_letter
            (instance_key, epoch, workflow_id, run_id, step, partition, item_key, phase, code, fingerprint, message, attempts)
     values ($1, 1, $1, 'run', 'confirm', 0, '17', 'write', 'SQLSTATE_23514', 'SQLSTATE_23514: …', 'check constraint orders_amount', 3)`,
    [id],
  );
  await ledger.end();
  console = await testConsole(world.environment);
  browser = await openBrowser();
  const operator = console.browser();
  await operator.fillIn('/jobs/purchaseConfirmation/schedule', {
    ...{ id: 'nightly', cron: '0 2 * * *', timeZone: 'Asia/Seoul', overlap: 'skip' },
    'parameter.deliveredBefore': '{{scheduled}}',
    reason: 'nightly from now on',
  });
  await operator.fillIn('/schedules/nightly/backfill', { from: '2025-09-30', to: '2025-10-01' });
  await operator.fillIn(`${skips}/waive`, { key: '3000', reason: 'withdrawn by the customer' });
});

afterAll(async () => {
  await browser?.close();
  await console?.stop();
  await world?.dispose();
});

describe.skipIf(noBrowser).each(['laptop', 'telephone'] as const)('on a %s', (device) => {
  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    test.each(Object.entries(pages))('%s keeps nobody out, and fits', async (name, path) => {
      expect(await lookAt(browser, console.url + path, name, { device, colorScheme })).toEqual(looksRight);
    });
  });
});

test.skipIf(noBrowser)('what is marked is waived without scripts', async () => {
  const context = await browser.newContext({ baseURL: console.url, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(skips);
  await page.getByLabel('Mark 100', { exact: true }).check();
  await page.getByLabel('Mark 200', { exact: true }).check();
  await page.getByRole('button', { name: 'Waive what is marked' }).click();
  await page.getByLabel('Reason').fill('of no use any more');
  await page.getByRole('button', { name: 'Waive' }).click();
  await page.waitForURL(`**${skips}`);
  expect(await page.getByText('of no use any more').count()).toBe(2);
  await context.close();
});
