import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import {
  type MetricDescription,
  metricTable,
  scrapedName,
} from '../../packages/keystride/src/telemetry/metric-table.ts';
import { DatabaseProxy } from '../../packages/keystride/src/prove/database-proxy.ts';
import { fails, Fixture } from '../conformance/fixture.ts';
import { addTargets, openStores, type Stores } from '../support/migration.ts';
import { gatedTable } from '../support/jobs/gated.ts';
import { alertRules, dashboardExpressions, metricsOf } from '../support/ops.ts';
import { type Sample, scrape, sumOf } from '../support/prometheus.ts';
import { reportOf, run, stepOf, until } from '../support/runs.ts';
import { type TestWorker, waitFor, type World } from '../support/stack.ts';

let fixture: Fixture;
let world: World;
let stores: Stores;
let address: string;
let worker: TestWorker;

beforeAll(async () => {
  fixture = await Fixture.open(false);
  ({ world } = fixture);
  stores = openStores(world);
  await stores.migration.query(gatedTable);
  await stores.migration.query('CREATE TABLE health (fine boolean, reason text)');
  await startWorker();
});

async function startWorker(more: NodeJS.ProcessEnv = {}): Promise<void> {
  address = `127.0.0.1:${await freePort()}`;
  const health = { KEYSTRIDE_HEALTH_QUERY: 'SELECT fine, reason FROM health' };
  worker = await world.startWorker({ environment: { KEYSTRIDE_METRICS: address, ...health, ...more } });
}

afterAll(async () => {
  await stores?.close();
  await fixture?.close();
});

const ofItems = { job_name: 'fixture', step: 'items' };

test('what has committed is counted once, by job and step, skips by their code', async () => {
  const counted = async () => {
    const samples = await scrape(address);
    const sum = (name: string, labels = {}) => sumOf(samples, `keystride_${name}`, { ...ofItems, ...labels });
    return {
      read: sum('rows_read_total'),
      written: sum('rows_written_total'),
      filtered: sum('rows_filtered_total'),
      skipped: sum('rows_skipped_total', { code: 'ScriptedError' }),
      chunks: sum('chunk_duration_seconds_count'),
      pages: sum('page_duration_seconds_count'),
      retries: sum('retries_total', { phase: 'process', code: 'ScriptedError' }),
      completed: sumOf(samples, 'keystride_executions_ended_total', {
        job_name: 'fixture',
        outcome: 'completed',
      }),
    };
  };
  const faults = [fails('process', 3), fails('process', 5, { error: 'other', times: 2 })];
  const told = { run: 'counted', items: 20, chunkSize: 2, filtered: [7, 8], retries: 2, faults };
  const report = await run(world, 'fixture', { ...told, retryCodes: ['OtherError'] });
  expect(report.status).toBe('completedWithSkips');
  const expected = { read: 20, written: 17, filtered: 2, skipped: 1, chunks: 10, pages: 1, completed: 1 };
  expect(await counted()).toMatchObject(expected);
  expect(sumOf(await scrape(address), 'keystride_retries_total', { ...ofItems, phase: 'process' })).toBe(2);
  // An instance that is complete is refused, and nothing is counted again.
  await expect(run(world, 'fixture', told)).rejects.toThrow();
  expect(await counted()).toMatchObject(expected);
});

test('a chunk that is rolled back and written again counts once, and its retry by its code', async () => {
  const faults = [fails('write', 2, { times: 1 })];
  const before = await scrape(address);
  const told = {
    run: 'again',
    items: 4,
    chunkSize: 2,
    retries: 1,
    retryCodes: ['ScriptedError'],
    skipCodes: [],
  };
  expect((await run(world, 'fixture', { ...told, faults })).status).toBe('completed');
  const after = await scrape(address);
  const added = (name: string, labels = {}) =>
    sumOf(after, name, { ...ofItems, ...labels }) - sumOf(before, name, { ...ofItems, ...labels });
  expect(added('keystride_rows_written_total')).toBe(4);
  expect(added('keystride_retries_total', { phase: 'write', code: 'ScriptedError' })).toBe(1);
});

test('a chunk whose COMMIT was not answered, and that is found committed, counts once', async () => {
  await worker.stop();
  // Commits of the run's chunks, wherever its opening ends.
  const proxy = await DatabaseProxy.start(
    world.databaseUrl,
    [8, 11, 14].map((at) => ({ kind: 'commitReplyLost', at })),
  );
  onTestFinished(() => proxy.stop());
  let lost = 0;
  proxy.onFault = () => lost++;
  await startWorker({ DATABASE_URL: proxy.urlOf(world.databaseUrl) });
  const told = { run: 'unanswered', items: 40, chunkSize: 2, retries: 3, filtered: [1] };
  const report = await run(world, 'fixture', told);
  expect(lost).toBe(3);
  const samples = await scrape(address);
  const counted = ['read', 'written', 'filtered'].map((what) =>
    sumOf(samples, `keystride_rows_${what}_total`, ofItems),
  );
  const { read, written, filtered } = stepOf(report, 'items');
  expect(counted).toEqual([read, written, filtered]);
  expect(sumOf(samples, 'keystride_chunk_duration_seconds_count', ofItems)).toBe(20);
  await worker.stop();
  await startWorker();
});

test('every metric of the table is scraped with its labels, and none that is not there', async () => {
  await addTargets(stores, 40);
  const faults = [fails('process', 1), fails('process', 3, { error: 'other', times: 1 })];
  const told = { run: 'all', faults, filtered: [2], retries: 1, retryCodes: ['OtherError'] };
  expect((await run(world, 'fixture', told)).status).toBe('completedWithSkips');
  await expect(
    run(world, 'fixture', { run: 'failing', faults: [fails('write', 1)], skipLimit: 0 }),
  ).rejects.toThrow();
  await run(world, 'documentMigration');
  await run(world, 'targetSync');
  await throttledRun();
  const samples = await waitFor(
    async () => {
      const found = await scrape(address);
      return found.some(({ name }) => name === 'keystride_sync_lag_seconds') && found;
    },
    { what: 'the ages to be looked at again' },
  );
  const ours = samples.filter(({ name }) => name.startsWith('keystride_'));
  const described = Object.values<MetricDescription>(metricTable);
  const labelsOf = (name: string) => labelsSeen(ours, name);
  for (const metric of described) {
    const name = scrapedName(metric) + (metric.kind === 'histogram' ? '_count' : '');
    expect({ name, labels: labelsOf(name) }).toEqual({ name, labels: metric.labels.toSorted() });
  }
  const known = new Set(
    described.flatMap((metric) =>
      metric.kind === 'histogram'
        ? ['_bucket', '_sum', '_count'].map((end) => metric.name + end)
        : [scrapedName(metric)],
    ),
  );
  expect([...new Set(ours.map(({ name }) => name))].filter((name) => !known.has(name))).toEqual([]);
  expect(sumOf(samples, 'keystride_executions_ended_total', { job_name: 'fixture', outcome: 'failed' })).toBe(
    1,
  );
  expect(unknownIn(samples, [...dashboardExpressions(), ...ruleExpressions()])).toEqual([]);
});

const ruleExpressions = () => alertRules().map(({ alert, expr }) => ({ where: alert, expr }));

/** What expressions ask for that no sample has: a metric, or a label of it. */
function unknownIn(
  samples: readonly Sample[],
  expressions: readonly { readonly where: string; readonly expr: string }[],
): string[] {
  return expressions.flatMap(({ where, expr }) => {
    const asked = metricsOf(expr);
    if (asked.length === 0) return [`${where}: names no metric`];
    return asked.flatMap(({ name, labels }) => {
      const fits = samples.some(
        (sample) => sample.name === name && labels.every((label) => label in sample.labels),
      );
      return fits ? [] : [`${where}: ${name} {${labels.join(', ')}}`];
    });
  });
}

test('an expression about a metric or a label that is not there is found', () => {
  const samples = [{ name: 'keystride_rows_read_total', labels: { job_name: 'a' }, value: 1 }];
  const asks = (expr: string) => unknownIn(samples, [{ where: 'rule', expr }]);
  expect(asks('sum by (job_name) (rate(keystride_rows_read_total{job_name="a"}[5m])) > 0')).toEqual([]);
  expect(asks('keystride_rows_red_total')).toEqual(['rule: keystride_rows_red_total {}']);
  expect(asks('sum by (step) (keystride_rows_read_total)')).toEqual([
    'rule: keystride_rows_read_total {step}',
  ]);
  expect(asks('keystride_rows_read_total{state="x"}')).toEqual(['rule: keystride_rows_read_total {state}']);
  const replaced = (of: string) =>
    `min by (queue) (label_replace(keystride_rows_read_total, "queue", "$1", "${of}", "(.*)"))`;
  expect(asks(replaced('job_name'))).toEqual([]);
  expect(asks(replaced('step'))).toEqual(['rule: keystride_rows_read_total {step}']);
  expect(asks('up == 0')).toEqual(['rule: names no metric']);
});

/** A run that is held back until its health is looked at again. */
async function throttledRun(): Promise<void> {
  const health = (fine: boolean) =>
    stores.migration.query('WITH before AS (DELETE FROM health) INSERT INTO health VALUES ($1)', [fine]);
  await health(false);
  await new Promise((done) => setTimeout(done, 3_500));
  const handle = await world.start('gated', { run: 'held', items: 10 });
  await until(world, handle.workflowId, 'throttled');
  await health(true);
  expect((await reportOf(handle)).status).toBe('completed');
  const held = { job_name: 'gated', step: 'items', reason: 'health' };
  expect(sumOf(await scrape(address), 'keystride_throttled_seconds_total', held)).toBeGreaterThan(0);
}

function labelsSeen(samples: readonly Sample[], wanted: string): string[] {
  const found = samples.find(({ name }) => name === wanted);
  return found ? Object.keys(found.labels).toSorted() : ['it is not there'];
}
