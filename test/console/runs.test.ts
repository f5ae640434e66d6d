import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';
import { testConsole, type Browser, type TestConsole } from './support.ts';

/** One migration that takes a while, as somebody on call meets it in a browser without scripts. */
let world: World;
let console: TestConsole;
let browser: Browser;

const id = 'documentMigration:run=1';
const run = `/runs/${encodeURIComponent(id)}`;
const hostile = `"><script>alert('x')</script>/../&%2f?`;
const hostileRun = `/runs/${encodeURIComponent(hostile)}`;

beforeAll(async () => {
  world = await createWorld({ legacyApi: ['--latency=1500', '--override=T-0000007=404'] });
  // The room of the operator takes addresses from the environment of its process, as the command does.
  Object.assign(process.env, world.environment);
  await world.startWorker();
  await keystride(['demo-data', 'documents', '--count', '120'], world.environment);
  await (await world.start('targetSync')).result();
  console = await testConsole(world.environment);
  browser = console.browser();
});

afterAll(async () => {
  await console?.stop();
  await world?.dispose();
});

async function state(): Promise<string> {
  const { progress } = (await console.send(`/api${run}`)).json() as { progress: { status: string } };
  return progress.status;
}

test('the list has the runs of all jobs, with counts by state', async () => {
  await world.start('documentMigration', { inFlight: 4, partitions: 3 }, id);
  await waitFor(async () => (await state()) === 'running');
  const { text } = await browser.get('/');
  expect(text).toContain(id);
  expect(text).toMatch(/Active <span class="count">1</u);
  const active = await console.send('/api?state=active');
  expect(active.json()).toMatchObject({
    counts: { all: 2, groups: { active: 1, held: 0, failed: 0, completed: 1, stopped: 0 } },
    runs: [{ workflowId: id, status: 'running' }],
  });
});

test('it is filtered by job, by the beginning of the id, and by day', async () => {
  const found = async (query: string) =>
    ((await console.send(`/api?${query}`)).json() as { runs: { job: string }[] }).runs.map(({ job }) => job);
  expect(await found('job=targetSync')).toEqual(['targetSync']);
  expect(await found('text=document')).toEqual(['documentMigration']);
  expect(await found('from=2100-01-01')).toEqual([]);
  expect(await found(`text=${encodeURIComponent(`x' OR WorkflowId != '`)}`)).toEqual([]);
  expect(await found('job=nobody')).toEqual([]);
});

test('a run shows its steps, its partitions, its parameters and what can be done', async () => {
  await waitFor(async () => {
    const { strips } = (await console.send(`/api${run}`)).json() as { strips: { partitions: unknown[] }[] };
    return strips[0]?.partitions.length === 3;
  });
  const { text } = await browser.get(run);
  for (const shown of [
    'fetchAndStore',
    'Partitions of fetchAndStore',
    'inFlight',
    `${run}/pause`,
    `${run}/tune`,
  ])
    expect(text).toContain(shown);
  expect(text).not.toContain(`${run}/resume`);
  const partitions = await browser.get(`${run}/partitions/fetchAndStore`);
  expect(partitions.text).toContain('p2');
  expect(partitions.text).toContain('<span class="mono small">80</span>');
});

test('it is paused with a reason, which stands as text wherever the state does', async () => {
  const answer = await browser.fillIn(`${run}/pause`, { reason: hostile });
  expect(answer.status).toBe(303);
  expect(answer.headers.location).toBe(run);
  await waitFor(async () => (await state()) === 'paused');
  for (const path of [run, `${run}/resume`]) {
    const { text } = await browser.get(path);
    expect(text).toContain('&lt;script&gt;');
    expect(text).not.toContain('<script>');
  }
});

test('at rest it shows what has committed, as its partitions do', async () => {
  const { progress, strips } = (await console.send(`/api${run}`)).json() as {
    progress: { steps: { read: number }[] };
    strips: { partitions: { read: number }[] }[];
  };
  const committed = strips[0]?.partitions.reduce((sum, { read }) => sum + read, 0) ?? 0;
  expect(committed).toBeGreaterThan(0);
  expect(progress.steps.map(({ read }) => read)).toEqual([committed]);
});

test('it is tuned: what it is stands beside what it will be, and what makes no sense comes back', async () => {
  const { text } = await browser.get(`${run}/tune`);
  expect(text).toMatch(/Partitions<\/label>[^]*?<strong>3<\/strong>\s*<span class="soft">\(by contract\)/u);
  const wrong = await browser.fillIn(`${run}/tune`, { concurrency: '0' });
  expect(wrong.status).toBe(422);
  expect(wrong.text).toContain('concurrency must be a whole number from 1 to 10000');
  expect((await browser.fillIn(`${run}/tune`, { concurrency: '60' })).status).toBe(303);
  expect((await browser.get(`${run}/tune`)).text).toMatch(/<strong>60<\/strong>/u);
});

interface ShownExecution {
  readonly status: string;
  readonly finishedAt: string | null;
  readonly added: { readonly read: number };
}

test('it is stopped with a reason alone, and started again its executions say what each has added', async () => {
  expect((await browser.fillIn(`${run}/resume`, {})).status).toBe(303);
  const without = await browser.fillIn(`${run}/stop`, {});
  expect(without.status).toBe(422);
  expect((await browser.fillIn(`${run}/stop`, { reason: 'enough' })).status).toBe(303);
  await waitFor(async () => (await state()) === 'stopped');
  const executionsOf = async () =>
    ((await console.send(`/api${run}`)).json() as { executions: ShownExecution[] }).executions;
  // The console knows what one has added that it has seen closed: the ledger knows the newest one's figures alone.
  await waitFor(async () => (await executionsOf())[0]?.finishedAt);
  expect((await browser.fillIn(`${run}/pause`, {})).text).toContain('has ended');
  expect((await browser.get(run)).text).toContain(
    '/jobs/documentMigration/start?parameter.run=1&amp;parameter.inFlight=4&amp;parameter.partitions=3',
  );
  await (await world.start('documentMigration', { inFlight: 100, partitions: 3 }, id)).result();
  const executions = await executionsOf();
  expect(executions.map(({ status }) => status)).toEqual(['completedWithSkips', 'stopped']);
  expect(executions.reduce((sum, { added }) => sum + added.read, 0)).toBe(120);
});

test('it is verified, and the result stands on its page', async () => {
  expect((await browser.fillIn(`${run}/verify`, {})).status).toBe(303);
  await waitFor(async () => (await browser.get(run)).text.includes('data-shape="✓">agree'));
});

test('there is no page of a run that there is not', async () => {
  const { status, text } = await browser.get('/runs/nobody');
  expect(status).toBe(404);
  expect(text).toContain('keystride list');
  expect(text).toContain('<nav aria-label="Sections">');
});

test('script in an id, a parameter and a reason stands as text', async () => {
  const handle = await world.start('couponExchange', { name: hostile, expiredCouponId: 1 }, hostile);
  await handle.terminate(hostile).catch(() => undefined);
  for (const path of ['/', hostileRun, `${hostileRun}/stop`]) {
    const { status, text } = await browser.get(path);
    expect(status, path).toBe(200);
    expect(text, path).toContain('&lt;script&gt;');
    expect(text, path).not.toContain('<script>alert');
    expect(text, path).not.toMatch(/href="[^"]*<|href="javascript:/u);
  }
});

describe('whoever looks on', () => {
  /** The first events of a stream. */
  function events(path: string, wanted: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port: console.port, path }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          const found = [...text.matchAll(/^event: (\w+)$/gmu)].map(([, name = '']) => name);
          if (found.length < wanted) return;
          request.destroy();
          resolve(found);
        });
      });
      request.on('error', reject);
    });
  }

  test('gets the parts of the page, then a beat where nothing has changed', async () => {
    const [first, ...others] = await events(`/live${run}`, 2);
    expect(first).toBe('parts');
    expect(others[0]).toMatch(/^(parts|beat)$/u);
  });

  test('is told when Temporal knows no such run', async () => {
    expect(await events('/live/runs/nobody', 1)).toEqual(['problem']);
  });
});
