import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { testConsole, type Browser, type TestConsole } from './support.ts';

/** Jobs, skips, schedules, syncs, health and the audit, as somebody meets them in a browser without scripts. */
let world: World;
let console: TestConsole;
let browser: Browser;
let ledger: pg.Client;

const id = 'purchaseConfirmation:deliveredBefore=2025-10-01';
const skips = `/skips/${encodeURIComponent(id)}`;
const hostile = `"><script>alert('x')</script>/../&%2f?`;

beforeAll(async () => {
  world = await createWorld();
  // The room of the operator takes addresses from the environment of its process, as the command does.
  Object.assign(process.env, world.environment);
  await world.startWorker();
  ledger = new pg.Client({ connectionString: world.databaseUrl });
  await ledger.connect();
  await ledger.query(
    `insert into orders (customer_id, amount, status, delivered_at)
     select i, case when i % 100 = 0 then -1 else 100 end, 'DELIVERED', '2025-01-01' from generate_series(1, 3000) i`,
  );
  console = await testConsole(world.environment);
  browser = console.browser();
});

afterAll(async () => {
  await ledger?.end();
  await console?.stop();
  await world?.dispose();
});

const asked = async (path: string): Promise<unknown> => (await console.send(`/api${path}`)).json();

describe('a job', () => {
  test('is found in the catalogue, with what it takes', async () => {
    const list = await browser.get('/jobs');
    expect(list.text).toContain('href="/jobs/purchaseConfirmation"');
    const { text } = await browser.get('/jobs/purchaseConfirmation');
    expect(text).toContain('deliveredBefore');
    expect(text).toContain('It has not run yet.');
    const { jobs } = (await asked('/jobs')) as { jobs: { name: string }[] };
    expect(jobs.map(({ name }) => name)).toContain('targetSync');
  });

  test('has a form that is made from its contract', async () => {
    const confirmation = await browser.get('/jobs/purchaseConfirmation/start');
    expect(confirmation.text).toMatch(/name="parameter\.deliveredBefore"[^>]*required[^>]*type="date"/su);
    expect(confirmation.text).toContain('identifies the instance');
    const { text } = await browser.get('/jobs/targetSync/start');
    expect(text).toMatch(/<select id="parameter\.mode"/u);
    expect(text).toContain('<option value="">bulk (default)</option>');
    expect(text).toMatch(/name="parameter\.partitions"[^>]*type="number"[^>]*min="1"\s+max="64"/su);
  });

  test('says beside the field what is wrong with it, and keeps what was filled in', async () => {
    const answer = await browser.fillIn('/jobs/purchaseConfirmation/start', {
      'parameter.deliveredBefore': hostile,
    });
    expect(answer.status).toBe(422);
    expect(answer.text).toContain('aria-invalid="true"');
    expect(answer.text).toContain('deliveredBefore Invalid');
    expect(answer.text).not.toContain('<script>alert');
    const missing = await browser.fillIn('/jobs/purchaseConfirmation/start', {});
    expect(missing.text).toContain('deliveredBefore is missing');
  });

  test('is planned before it is started, and nothing is written', async () => {
    const answer = await browser.fillIn('/jobs/purchaseConfirmation/plan', {
      'parameter.deliveredBefore': '2025-10-01',
    });
    expect(answer.status).toBe(303);
    const { text } = await browser.get(answer.headers.location ?? '');
    expect(text).toContain('3,000 rows');
    expect(text).toContain('Nothing was written.');
    expect(text).toContain('/jobs/purchaseConfirmation/start?parameter.deliveredBefore=2025-10-01');
    expect((await ledger.query('select from keystride.instance')).rowCount).toBe(0);
    expect((await browser.get('/jobs/targetSync/plans/nothing')).status).toBe(404);
  });

  test('is started by its form, once', async () => {
    const fields = { 'parameter.deliveredBefore': '2025-10-01', reason: hostile };
    const answer = await browser.fillIn('/jobs/purchaseConfirmation/start', fields);
    expect(answer.headers.location).toBe(`/runs/${encodeURIComponent(id)}`);
    await waitFor(async () => {
      const { progress } = (await asked(`/runs/${encodeURIComponent(id)}`)) as {
        progress: { status: string };
      };
      return progress.status === 'completedWithSkips';
    });
    const again = await browser.fillIn('/jobs/purchaseConfirmation/start', fields);
    expect(again.status).toBe(422);
    expect(again.text).toContain('has completed');
    expect(again.text).toContain(`href="/runs/${encodeURIComponent(id)}"`);
    expect((await browser.get('/jobs/purchaseConfirmation')).text).toContain(id);
  });
});

describe('skips', () => {
  test('are shown by cause and by key, those of an instance and those of all', async () => {
    for (const path of ['/skips', skips]) {
      const { text } = await browser.get(path);
      expect(text).toContain('NEGATIVE_AMOUNT');
      expect(text).toContain('<span class="mono key">100</span>');
    }
    const found = async (query: string) =>
      ((await asked(`${skips}?${query}`)) as { skips: { key: string }[] }).skips.map(({ key }) => key);
    // Partitions commit when they come to it.
    expect((await found('key=30')).toSorted()).toEqual(['300', '3000']);
    expect(await found('code=NOBODY')).toEqual([]);
    expect((await found('code=NEGATIVE_AMOUNT')).length).toBe(25);
    expect((await browser.get(`${skips}?key=${encodeURIComponent(hostile)}`)).text).not.toContain(
      '<script>alert',
    );
  });

  test('come by the page', async () => {
    const { next, total } = (await asked(skips)) as { next: string; total: number };
    expect(total).toBe(30);
    const { skips: rest, next: end } = (await asked(`${skips}?after=${next}`)) as {
      skips: unknown[];
      next: null;
    };
    expect([rest.length, end]).toEqual([5, null]);
    expect(await asked(`${skips}?after=nowhere`)).toMatchObject({ total: 30, next });
  });

  test('are exported as CSV', async () => {
    const { headers, text } = await console.send(`${skips}/export.csv`);
    expect(headers['content-disposition']).toContain('.csv');
    expect(text.trimEnd().split('\r\n').length).toBe(31);
    expect((await console.send(`/skips/nobody/export.csv`)).status).toBe(404);
  });

  test('are exported into a file whose name leads nowhere else', async () => {
    const instance = `../../etc/x"; filename="/evil\n`;
    await ledger.query(
      `insert into keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status)
       values ($1, 'fixture', '{}', 1, $1, 'run', 'failed')`,
      [instance],
    );
    const { headers } = await console.send(`/skips/${encodeURIComponent(instance)}/export.csv`);
    expect(headers['content-disposition']).toBe(
      'attachment; filename="skips-.._.._etc_x___filename=__evil_.csv"',
    );
    await ledger.query('delete from keystride.instance where instance_key = $1', [instance]);
  });

  test('that are marked are waived, with a reason', async () => {
    const page = `${skips}/waive?key=1500&key=200`;
    const refused = await browser.fillIn(page, { key: '1500' });
    expect(refused.text).toContain('Say why');
    const answer = await browser.fillIn(page, { key: '1500', reason: hostile });
    expect(answer.headers.location).toBe(skips);
    const { text } = await browser.get(`${skips}?state=waived`);
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toContain('<script>alert');
    expect(await asked(`${skips}?key=1500`)).toMatchObject({ waived: 1, open: 0 });
  });

  test('are redriven, those of a cause', async () => {
    await ledger.query('update orders set amount = 5 where amount < 0');
    const { causes } = (await asked(skips)) as { causes: { fingerprint: string }[] };
    const fingerprint = causes[0]?.fingerprint ?? '';
    const page = `${skips}/redrive?fingerprint=${encodeURIComponent(fingerprint)}`;
    expect((await browser.get(page)).text).toContain('29');
    const answer = await browser.fillIn(page, { fingerprint, reason: 'corrected' });
    expect(answer.headers.location).toBe(`/runs/${encodeURIComponent(`${id}/redrive-1`)}`);
    await waitFor(async () => ((await asked(answer.headers.location ?? '')) as { closed: boolean }).closed);
    expect(await asked(skips)).toMatchObject({ redriven: 29 });
    const nothing = await browser.fillIn(`${skips}/redrive`, {});
    expect(nothing.status).toBe(422);
    expect(nothing.text).toContain('nothing to redrive');
  });

  test('of an unknown instance are not found', async () => {
    expect((await browser.get('/skips/nobody')).status).toBe(404);
    expect((await browser.get('/dead-letters')).text).toContain('There are no dead letters.');
  });
});

describe('a schedule', () => {
  const schedule = '/schedules/nightly';

  test('is made by a form, and shows its next runs in its time zone', async () => {
    expect((await browser.get('/schedules')).text).toContain('There are no schedules.');
    const fields = {
      id: 'nightly',
      cron: '0 2 * * *',
      timeZone: 'Asia/Seoul',
      overlap: 'skip',
      'parameter.deliveredBefore': '{{scheduled}}',
    };
    const wrong = await browser.fillIn('/jobs/purchaseConfirmation/schedule', {
      ...fields,
      cron: '0 0 2 * * ?',
    });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('has 6 fields');
    const answer = await browser.fillIn('/jobs/purchaseConfirmation/schedule', fields);
    expect(answer.headers.location).toBe(schedule);
    const { text } = await browser.get(schedule);
    expect(text).toMatch(/\d 02:00<\/span> Asia\/Seoul/u);
  });

  test('is paused with a reason, and unpaused', async () => {
    await browser.fillIn(`${schedule}/pause`, { reason: hostile });
    const { text } = await browser.get(schedule);
    expect(text).toContain('paused');
    expect(text).not.toContain('<script>alert');
    await browser.fillIn(`${schedule}/unpause`, {});
    expect(await asked(schedule)).toMatchObject({ paused: false });
  });

  test('is backfilled by a range of days, and shows what each came to', async () => {
    expect((await browser.fillIn(`${schedule}/backfill`, { from: 'x', to: 'y' })).status).toBe(422);
    const answer = await browser.fillIn(`${schedule}/backfill`, { from: '2025-09-30', to: '2025-10-01' });
    expect(answer.headers.location).toBe(`${schedule}?from=2025-09-30&to=2025-10-01`);
    await waitFor(async () => {
      const { range } = (await asked(answer.headers.location ?? '')) as {
        range: { outcomes: { instance: string; status: string | null }[] };
      };
      return range.outcomes.length === 2 && range.outcomes.every(({ status }) => status === 'completed');
    });
    expect((await browser.get(answer.headers.location ?? '')).text).toContain(id);
  });

  test('is triggered', async () => {
    const answer = await browser.fillIn(`${schedule}/trigger`, { reason: 'missed' });
    expect(answer.headers.location).toBe(schedule);
    expect((await browser.get(schedule)).text).toContain('Scheduled for');
  });
});

describe('a sync', () => {
  test('shows its offset, and is rewound when that is confirmed', async () => {
    expect((await browser.get('/syncs')).text).toContain('No sync has run yet.');
    await keystride(['demo-data', 'documents', '--count', '50'], world.environment);
    await (await world.start('targetSync', { mode: 'incrementing' })).result();
    const { streams } = (await asked('/syncs')) as { streams: { stream: string; cursor: string[] }[] };
    const stream = streams[0]?.stream ?? '';
    expect(streams[0]?.cursor).toEqual(['50']);
    const rewind = `/syncs/${encodeURIComponent(stream)}/rewind`;
    expect((await browser.fillIn(rewind, { key: '20', reason: 'restored' })).text).toContain('confirm it');
    expect((await browser.fillIn(rewind, { key: '20', confirm: stream })).text).toContain('Say why');
    const answer = await browser.fillIn(rewind, { key: '20', confirm: stream, reason: 'restored' });
    expect(answer.headers.location).toBe('/syncs');
    expect(await asked('/syncs')).toMatchObject({ streams: [{ cursor: ['19'] }] });
  });
});

describe('what needs a person', () => {
  test('is nothing while everything runs', async () => {
    const { text } = await browser.get('/health');
    expect(text).toContain('Nothing needs a person');
    expect(await asked('/health')).toMatchObject({
      findings: [],
      temporal: { away: null },
      ledger: { away: null },
    });
  });

  test('is said on every page when Temporal is away', async () => {
    const away = await testConsole({ ...world.environment, TEMPORAL_ADDRESS: '127.0.0.1:9' });
    const { text } = await away.send('/jobs');
    await away.stop();
    expect(text).toContain('Temporal at 127.0.0.1:9 does not answer');
    expect(text).toContain('dev --detach');
  });

  test('is said on every page when no worker polls', async () => {
    const alone = await testConsole({ ...world.environment, KEYSTRIDE_TASK_QUEUE: 'nobody-polls' });
    const { text } = await alone.send('/health');
    await alone.stop();
    expect(text).toContain('no worker polls task queue nobody-polls');
  });
});

test('who did what and why is in the audit', async () => {
  const { entries } = (await asked('/audit')) as {
    entries: { action: string; from: string; reason: string }[];
  };
  const done = new Map(
    entries.filter(({ from }) => from === 'console').map(({ action, reason }) => [action, reason]),
  );
  expect([...done.keys()].toSorted()).toEqual([
    'schedule backfill',
    'schedule create',
    'schedule pause',
    'schedule trigger',
    'schedule unpause',
    'skips redrive',
    'skips waive',
    'start',
    'sync rewind',
  ]);
  expect(done.get('start')).toBe(hostile);
  const { text } = await browser.get(`/audit?id=${encodeURIComponent(id)}`);
  expect(text).toContain('&lt;script&gt;');
  expect(text).not.toContain('<script>alert');
  expect((await browser.get('/audit?operator=nobody-at-all')).text).toContain('No change is like that.');
});
