import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Fixture, fails, instanceOf } from '../conformance/fixture.ts';
import { testConsole, type TestConsole } from '../console/support.ts';
import { noBrowser, openBrowser } from '../support/chromium.ts';
import { fillLedger, largeInstance } from '../support/large-ledger.ts';
import { looksRight, lookAt } from '../support/page-look.ts';
import { waitFor } from '../support/stack.ts';

/** Pages on their worst day: runs that fail, hold, are throttled and paused, texts of others, thousands of partitions. */
let fixture: Fixture;
let console: TestConsole;
let browser: Browser;

const unbroken = 'x'.repeat(100);
const hostile = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>${unbroken}`;

const runs = {
  failed: instanceOf('failed'),
  holding: instanceOf('holding', 'fixtureHold'),
  throttled: instanceOf('throttled'),
  hostile: instanceOf(hostile),
  large: largeInstance,
};

const run = (id: string) => `/runs/${encodeURIComponent(id)}`;
const skips = (id: string) => `/skips/${encodeURIComponent(id)}`;

/** Every page, by the name of its picture. */
const pages: Readonly<Record<string, string>> = {
  'hard-runs': '/',
  'hard-run-failed': run(runs.failed),
  'hard-run-holding': run(runs.holding),
  'hard-run-throttled': run(runs.throttled),
  'hard-run-hostile': run(runs.hostile),
  'hard-run-resume': `${run(runs.hostile)}/resume`,
  'hard-run-large': run(runs.large),
  'hard-partitions': `${run(runs.large)}/partitions/work`,
  'hard-skips': skips(runs.hostile),
  'hard-skips-large': skips(runs.large),
  'hard-dead-letters': '/dead-letters',
  'hard-audit': '/audit',
  'hard-health': '/health',
};

beforeAll(async () => {
  fixture = await Fixture.open(false);
  const { world, pool } = fixture;
  Object.assign(process.env, world.environment);
  await pool.query('CREATE TABLE health (fine boolean, reason text)');
  await health(true);
  await world.startWorker({ environment: { KEYSTRIDE_HEALTH_QUERY: 'SELECT fine, reason FROM health' } });
  process.env['KEYSTRIDE_CONFIG'] = path.join(import.meta.dirname, '../support/jobs/scripted.config.ts');
  console = await testConsole(world.environment);
  browser = await openBrowser();
  await fixture.run(
    'failed',
    { items: 20, faults: [fails('process', 11, { error: 'other' })] },
    { workflowId: runs.failed },
  );
  await fixture.start(
    'holding',
    { items: 20, faults: [fails('process', 7, { error: 'other' })] },
    { job: 'fixtureHold', workflowId: runs.holding },
  );
  await fixture.hold(hostile, 5);
  await fixture.start(hostile, { items: 20, heldInProcessor: [5] }, { workflowId: runs.hostile });
  await shows(runs.holding, 'holding');
  await shows(runs.hostile, 'running');
  await console.browser().fillIn(`${run(runs.hostile)}/pause`, { reason: hostile });
  // What is held is given up: the page has a few seconds for what is in hand.
  await shows(runs.hostile, 'paused');
  await health(false, hostile);
  // It goes on until the worker asks how the database is.
  await fixture.start('throttled', { items: 5_000, itemMilliseconds: 50 }, { workflowId: runs.throttled });
  await shows(runs.throttled, 'throttled');
  const client = await pool.connect();
  await fillLedger(client, { instances: 100, skips: 3_000, partitions: 5_000 });
  client.release();
  await world.client.workflow.start('fixture', {
    ...{ workflowId: runs.large, taskQueue: 'nobody', args: [{ run: 'large' }] },
  });
  await setAside();
});

afterAll(async () => {
  await browser?.close();
  await console?.stop();
  await fixture?.close();
});

async function health(fine: boolean, reason = ''): Promise<void> {
  await fixture.pool.query('WITH before AS (DELETE FROM health) INSERT INTO health VALUES ($1, $2)', [
    fine,
    reason,
  ]);
}

async function shows(id: string, status: string): Promise<void> {
  await waitFor(async () => {
    const { progress } = (await console.send(`/api${run(id)}`)).json() as { progress?: { status: string } };
    return progress?.status === status;
  });
}

/** A skip and a dead letter whose texts somebody else has written. */
async function setAside(): Promise<void> {
  const values = [runs.hostile, hostile, `CODE_${'X'.repeat(60)}`, `${unbroken} ${hostile}`];
  await fixture.pool.query(
    `insert into keystride.skip
            (instance_key, step, item_key, phase, code, fingerprint, message, partition, status)
     select instance_key, 'items', $2, 'process', $3, $4, $4, 0, 'open'
       from keystride.instance where owner_workflow_id = $1`,
    values,
  );
  await fixture.pool.query(
    `insert into keystride.dead_letter
            (instance_key, epoch, workflow_id, run_id, step, partition, item_key, phase, code, fingerprint, message, attempts)
     select instance_key, 1, $1, 'run', 'items', 0, $2, 'write', $3, $4, $4, 3
       from keystride.instance where owner_workflow_id = $1`,
    values,
  );
}

describe.skipIf(noBrowser).each([
  ['laptop', 'light'],
  ['telephone', 'dark'],
] as const)('on a %s, %s', (device, colorScheme) => {
  test.each(Object.entries(pages))('%s keeps nobody out, and fits', async (name, page) => {
    expect(await lookAt(browser, console.url + page, name, { device, colorScheme })).toEqual(looksRight);
  });
});
