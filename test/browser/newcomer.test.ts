import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testConsole, type TestConsole } from '../console/support.ts';
import { openBrowser, picture } from '../support/chromium.ts';
import { addTargets, openStores, type Stores } from '../support/migration.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** Somebody who has never seen the console, on the first day: each step is a picture in the docs. */
let world: World;
let stores: Stores;
let console: TestConsole;
let browser: Browser;
let page: Page;

const id = 'documentMigration:run=1';
const documents = 3_000;

beforeAll(async () => {
  // Two causes of skips; what is not found at first is found when it is asked for once more.
  const faults = [5, 205, 405].map((number) => `--override=T-${String(number).padStart(7, '0')}=404*1`);
  const unsupported = [9, 909].map(
    (number) => `--override=T-${String(number).padStart(7, '0')}=UNSUPPORTED_FORMAT`,
  );
  world = await createWorld({ legacyApi: ['--latency=600', ...faults, ...unsupported] });
  Object.assign(process.env, world.environment);
  stores = openStores(world);
  await addTargets(stores, documents);
  await stores.migration.query('CREATE TABLE health (fine boolean, reason text)');
  await health(true);
  // The last quarter of the targets is held up by something in the database.
  await stores.migration.query(`
    CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
    CREATE TRIGGER hold_up BEFORE UPDATE ON migration_target
      FOR EACH ROW WHEN (OLD.id > ${documents * 0.75}) EXECUTE FUNCTION hold_up()`);
  await world.startWorker({ environment: { KEYSTRIDE_HEALTH_QUERY: 'SELECT fine, reason FROM health' } });
  console = await testConsole(world.environment);
  browser = await openBrowser();
  page = await browser.newPage({ baseURL: console.url, viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(60_000);
});

afterAll(async () => {
  await browser?.close();
  await console?.stop();
  await stores?.close();
  await world?.dispose();
});

async function health(fine: boolean, reason = ''): Promise<void> {
  await stores.migration.query('WITH before AS (DELETE FROM health) INSERT INTO health VALUES ($1, $2)', [
    fine,
    reason,
  ]);
}

/** The state that the page of the run shows, which follows the run by itself. */
async function shows(state: string): Promise<void> {
  await waitFor(async () => (await page.locator('.state-line .state').first().innerText()) === state);
}

test('starts a job by its form', async () => {
  await page.goto('/jobs');
  await page.getByRole('link', { name: 'documentMigration' }).click();
  await page.getByRole('link', { name: 'Start', exact: true }).click();
  await page.getByLabel('inFlight').fill('120');
  await page.getByLabel('partitions').fill('4');
  await page.getByLabel('Reason').fill('the first migration');
  await picture(page, 'newcomer-1-start');
  await page.getByRole('button', { name: 'Start' }).click();
  await page.waitForURL(`**/runs/${encodeURIComponent(id)}`);
});

test('watches it', async () => {
  await shows('running');
  await page.locator('.u-over').waitFor();
  await picture(page, 'newcomer-2-watch');
});

test('finds the slow partition', async () => {
  const slow = page.locator('.cell.slow');
  await slow.first().waitFor();
  expect(await slow.first().innerText()).toContain('p3');
  await picture(page, 'newcomer-3-slow');
});

test('pauses, tunes and resumes it', async () => {
  await page.getByRole('link', { name: 'Pause' }).click();
  await page.getByLabel('Reason').fill('looking at the last partition');
  await page.getByRole('button', { name: 'Pause' }).click();
  await shows('paused');
  await picture(page, 'newcomer-4-paused');
  await page.getByRole('link', { name: 'Tune' }).click();
  await page.getByLabel('Concurrency').fill('60');
  await page.getByLabel('Chunk size').fill('20');
  await picture(page, 'newcomer-5-tune');
  await page.getByRole('button', { name: 'Tune' }).click();
  await page.getByRole('link', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await shows('running');
});

test('sees that it is held back because the database is busy', async () => {
  await health(false, 'the month is being closed');
  await shows('throttled');
  await page.getByText('the month is being closed').first().waitFor();
  await picture(page, 'newcomer-6-throttled');
  await stores.migration.query('DROP TRIGGER hold_up ON migration_target');
  await health(true);
  await shows('completed with skips');
  await picture(page, 'newcomer-7-done');
});

test('redrives one cause of its skips, and waives another', async () => {
  const skips = `/skips/${encodeURIComponent(id)}`;
  await page.goto(skips);
  await picture(page, 'newcomer-8-skips');
  const cause = (code: string) => page.getByRole('row').filter({ hasText: code }).first();
  await cause('NOT_FOUND').getByRole('link', { name: 'Redrive' }).click();
  await page.getByLabel('Reason').fill('the API has them now');
  await page.getByRole('button', { name: 'Redrive' }).click();
  await shows('completed');
  await page.goto(skips);
  await cause('UNSUPPORTED_FORMAT').getByRole('link', { name: 'Waive' }).click();
  await page.getByLabel('Reason').fill('nobody can read these any more');
  await picture(page, 'newcomer-9-waive');
  await page.getByRole('button', { name: 'Waive' }).click();
  await page.waitForURL(`**${skips}`);
  await page.getByRole('link', { name: /^Open/u }).click();
  await page.getByText('No skip of it is like that.').waitFor();
});

test('reads the report and the audit', async () => {
  await page.goto(`/runs/${encodeURIComponent(id)}`);
  await shows('completed with skips');
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Audit' }).click();
  for (const reason of [
    'the first migration',
    'looking at the last partition',
    'nobody can read these any more',
  ])
    await page.getByText(reason).first().waitFor();
  await picture(page, 'newcomer-10-audit');
});
