import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { testConsole, type TestConsole } from '../console/support.ts';
import { noBrowser, openBrowser } from '../support/chromium.ts';
import { looksRight, lookAt, visit as visitPage } from '../support/page-look.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/** The pages of the console in a real browser, over a migration that takes a while. */
let world: World;
let console: TestConsole;
let browser: Browser;

const id = 'documentMigration:run=1';
const run = `/runs/${encodeURIComponent(id)}`;

/** Every page, by the name of its picture. */
const pages = {
  runs: '/',
  'no-runs': '/?text=nobody',
  run,
  'run-pause': `${run}/pause`,
  'run-tune': `${run}/tune`,
  'run-verify': `${run}/verify`,
  'run-partitions': `${run}/partitions/fetchAndStore`,
  'not-found': '/runs/nobody',
} as const;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=1500', '--override=T-0000007=404'] });
  Object.assign(process.env, world.environment);
  await world.startWorker();
  await keystride(['demo-data', 'documents', '--count', '4000'], world.environment);
  await (await world.start('targetSync')).result();
  await world.start('documentMigration', { inFlight: 8, partitions: 6 }, id);
  console = await testConsole(world.environment);
  browser = await openBrowser();
  await waitFor(async () => (await console.send(run)).text.includes('class="strip"'));
});

afterAll(async () => {
  await browser?.close();
  await console?.stop();
  await world?.dispose();
});

const visit = (path: string, options: BrowserContextOptions = {}) =>
  visitPage(browser, console.url + path, options);

test.skipIf(noBrowser)('a run is followed without loading its page again', async () => {
  const { page, close } = await visit(run);
  const read = () => page.locator('.bar-text').first().innerText();
  const before = await read();
  await waitFor(async () => (await read()) !== before);
  expect(await page.locator('[data-liveness]').innerText()).toBe('Live.');
  await close();
});

test.skipIf(noBrowser)(
  'what others wrote does not run, in pages that are put together by the script either',
  async () => {
    const reason = `<img src=x onerror="document.title='owned'">`;
    const { page, close } = await visit(run);
    await console.browser().fillIn(`${run}/pause`, { reason });
    await page.getByText('onerror=').first().waitFor();
    expect(await page.title()).not.toBe('owned');
    await console.browser().fillIn(`${run}/resume`, {});
    await close();
  },
);

test.skipIf(noBrowser)('a run is paused, tuned and resumed without scripts', async () => {
  const { page, close } = await visit(run, { javaScriptEnabled: false });
  await page.getByRole('link', { name: 'Pause' }).click();
  await page.getByLabel('Reason').fill('the API is being upgraded');
  await page.getByRole('button', { name: 'Pause' }).click();
  await waitFor(async () => {
    await page.reload();
    return (await page.locator('.state').first().innerText()) === 'paused';
  });
  expect(await page.getByText('the API is being upgraded').first().isVisible()).toBe(true);
  await page.getByRole('link', { name: 'Tune' }).click();
  await page.getByLabel('Concurrency').fill('6');
  await page.getByRole('button', { name: 'Tune' }).click();
  await page.getByRole('link', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await waitFor(async () => {
    await page.reload();
    return (await page.locator('.state').first().innerText()) === 'running';
  });
  await close();
});

test.skipIf(noBrowser)('a run is found and paused by keyboard alone', async () => {
  const { page, close } = await visit('/');
  const press = (key: string) => page.keyboard.press(key);
  const focused = () =>
    page.evaluate<string>('document.activeElement.textContent.trim() || document.activeElement.name');
  const tabTo = async (name: string) => {
    for (let presses = 0; presses < 60; presses++) {
      await press('Tab');
      if ((await focused()).startsWith(name)) return;
    }
    throw new Error(`${name} cannot be reached by Tab`);
  };
  await press('Tab');
  expect(await focused()).toBe('Go to the content');
  await tabTo(id);
  await press('Enter');
  await page.waitForURL(`**${run}`);
  await tabTo('Pause');
  await press('Enter');
  await page.waitForURL('**/pause');
  await tabTo('reason');
  await page.keyboard.type('by keyboard');
  await press('Enter');
  await page.waitForURL(`**${run}`);
  await page.getByText('by keyboard').first().waitFor();
  await close();
});

describe.skipIf(noBrowser).each(['laptop', 'telephone'] as const)('on a %s', (device) => {
  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    test.each(Object.entries(pages))('%s keeps nobody out, and fits', async (name, path) => {
      const look = { device, colorScheme, waitFor: name === 'run' ? '.u-over' : undefined };
      expect(await lookAt(browser, console.url + path, name, look)).toEqual(looksRight);
    });
  });
});
