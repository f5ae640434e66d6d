import pg from 'pg';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { noBrowser, openBrowser } from '../support/chromium.ts';
import { configureLegacyApi } from '../support/migration.ts';
import { createWorld, type World } from '../support/stack.ts';
import { Terminal } from '../support/terminal.ts';

/** A newcomer's first night on call, in a terminal: each screen is a picture of the docs. */
let world: World;
let browser: Browser;
let terminal: Terminal;

const id = 'documentMigration:run=1';
const faulty = ['T-0000003=404', 'T-0000005=404', 'T-0000011=UNSUPPORTED_FORMAT'];

const unsupported = 'UNSUPPORTED_FORMAT: the format of this document is no longer supported';
const unknown = 'NOT_FOUND: the legacy system does not know this document';

beforeAll(async () => {
  world = await createWorld({
    // The last quarter of the keys is slow: its calls never answer and are given up.
    legacyApi: [
      '--latency=150',
      ...['T-0000400=hang*3', 'T-0000430=hang*3', ...faulty].map((fault) => `--override=${fault}`),
    ],
    environment: { KEYSTRIDE_HEALTH_LOCK_WAITS: '2' },
  });
  await world.startWorker();
  await keystride(['demo-data', 'documents', '--count', '480'], world.environment);
  await (await world.start('targetSync')).result();
  browser = await openBrowser();
  terminal = new Terminal(world.environment);
}, 300_000);

afterAll(async () => {
  terminal?.close();
  await browser?.close();
  await world?.dispose();
});

test.skipIf(noBrowser)(
  'a run is started, watched, slowed, tuned, held back and settled from a terminal',
  async () => {
    terminal.type(`keystride start documentMigration --param partitions=4 --param inFlight=4`);
    await terminal.until(/next {2}keystride status/u);
    await terminal.picture(browser, 'terminal-start');

    terminal.clear();
    terminal.type(`keystride status ${id} --watch`);
    await terminal.until(/\d+ % · \d+ of 480/u);
    await terminal.picture(browser, 'terminal-watch');
    terminal.key('C-c');
    await terminal.until(/The run goes on/u);

    terminal.clear();
    terminal.type(`keystride pause ${id} --reason "the API is being looked at"`);
    await terminal.until(/pausing|paused/u);
    terminal.type(`keystride tune ${id} --concurrency 16 --reason "the API takes more"`);
    terminal.type(`keystride resume ${id}`);
    await terminal.until(/resume[\s\S]*running/u);
    await terminal.picture(browser, 'terminal-controls');

    terminal.clear();
    terminal.type(`keystride status ${id} --partitions`);
    expect(await terminal.until(/p3 .*\n[\s\S]*\$\s*$/u)).toMatch(/committed up to +ends at/u);
    await terminal.picture(browser, 'terminal-partitions');

    const busy = await waitingSessions(3);
    terminal.clear();
    terminal.type(`keystride status ${id} --watch`);
    await terminal.until(/throttled: /u);
    await terminal.picture(browser, 'terminal-held-back');
    await busy.end();
    await terminal.until(/completedWithSkips[\s\S]*\$\s*$/u, 150_000);

    terminal.clear();
    terminal.type(`keystride skips ${id} list`);
    const skips = await terminal.until(/3 skipped/u);
    expect(skips).toMatch(/items +open +code/u);
    await terminal.picture(browser, 'terminal-skips');

    await configureLegacyApi(world, { overrides: {} });
    terminal.clear();
    terminal.type(`keystride skips ${id} redrive --fingerprint '${unsupported}' --watch`);
    await terminal.until(/redrive[\s\S]*(completed|failed)[\s\S]*\$\s*$/u);
    terminal.type(
      `keystride skips ${id} waive --fingerprint '${unknown}' --reason "withdrawn by their authors"`,
    );
    await terminal.until(/2 waived by/u);
    await terminal.picture(browser, 'terminal-settled');

    terminal.clear();
    terminal.type(`keystride status ${id}`);
    await terminal.until(/completedWithSkips/u);
    await terminal.picture(browser, 'terminal-report');

    terminal.clear();
    terminal.type(`keystride audit ${id}`);
    const audit = await terminal.until(/waive/u);
    expect(audit).toMatch(/pause/u);
    expect(audit).toMatch(/tune/u);
    await terminal.picture(browser, 'terminal-audit');
  },
  600_000,
);

/** Somebody else's sessions that wait for a lock, until they are ended. */
async function waitingSessions(count: number): Promise<{ end: () => Promise<void> }> {
  const clients = Array.from(
    { length: count + 1 },
    () => new pg.Client({ connectionString: world.databaseUrl, application_name: 'reports' }),
  );
  const [holder, ...others] = clients;
  await Promise.all(clients.map((client) => client.connect()));
  await holder?.query('select pg_advisory_lock(42)');
  const waiting = others.map((client) => client.query('select pg_advisory_xact_lock(42)'));
  return {
    end: async () => {
      await holder?.query('select pg_advisory_unlock(42)');
      await Promise.all(waiting);
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}
