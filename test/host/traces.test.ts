import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { fails, Fixture, instanceOf } from '../conformance/fixture.ts';
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts';
import { addTargets, openStores, type Stores } from '../support/migration.ts';
import { run } from '../support/runs.ts';
import { waitFor, type World } from '../support/stack.ts';

let collector: Collector;
let fixture: Fixture;
let world: World;
let stores: Stores;

beforeAll(async () => {
  collector = await startCollector();
  fixture = await Fixture.open(false);
  ({ world } = fixture);
  stores = openStores(world);
  // Two workers know the same trace without a word between them.
  const choice = { environment: { KEYSTRIDE_TRACES: collector.url, KEYSTRIDE_ACTIVITIES: '4' } };
  await world.startWorker(choice);
  await world.startWorker(choice);
});

afterAll(async () => {
  await stores?.close();
  await fixture?.close();
  collector?.stop();
});

/** The spans of the trace that a job's run has, when its root has come. */
async function traceOf(job: string, instance: string): Promise<ReceivedSpan[]> {
  const rootOf = () =>
    collector.spans.find(
      ({ name, attributes }) =>
        name === 'run' &&
        attributes['keystride.job'] === job &&
        attributes['keystride.instance'] === instance,
    );
  const root = await waitFor(rootOf, { what: 'the span of the run' });
  const count = () => collector.spans.filter(({ traceId }) => traceId === root.traceId).length;
  // The workers send what they have every five seconds.
  let before = 0;
  await waitFor(
    async () => {
      const now = count();
      await new Promise((done) => setTimeout(done, 6_000));
      const whole = now === before;
      before = count();
      return whole;
    },
    { what: 'the other spans' },
  );
  return collector.spans.filter(({ traceId }) => traceId === root.traceId);
}

/** Each name with that of the span above it, and how many there are. */
function treeOf(spans: readonly ReceivedSpan[]): Record<string, number> {
  const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
  const tree: Record<string, number> = {};
  for (const { name, parentSpanId } of spans) {
    const above = parentSpanId === '' ? 'nothing' : (names.get(parentSpanId) ?? 'an unknown span');
    const link = `${name} below ${above}`;
    tree[link] = (tree[link] ?? 0) + 1;
  }
  return tree;
}

test('a run is one tree: its steps, their pages, chunks and reads, over all workers', async () => {
  const told = { run: 'traced', items: 20, partitions: 2, chunkSize: 5 };
  await run(world, 'fixture', told);
  const spans = await traceOf('fixture', instanceOf('traced'));
  const tree = treeOf(spans);
  expect(tree).toEqual({
    'run below nothing': 1,
    'step below run': 1,
    'page below step': 2,
    'chunk below page': tree['chunk below page'],
    'read below page': tree['read below page'],
  });
  const of = (name: string) => spans.filter((span) => span.name === name);
  const items = of('chunk').map(({ attributes }) => Number(attributes['keystride.items']));
  expect(items.reduce((sum, one) => sum + one, 0)).toBe(20);
  expect(new Set(of('page').map(({ attributes }) => attributes['keystride.partition']))).toEqual(
    new Set([0, 1]),
  );
  for (const span of spans) expect(span).toMatchObject({ failed: false });
  // The lines of the log have the same id.
  const logs = await Promise.all(world.workers.map(({ logFile }) => readFile(logFile, 'utf8')));
  const lines = logs
    .join('\n')
    .split('\n')
    .filter((line) => line.includes('"page ended"'));
  expect(lines.filter((line) => line.includes(`"traceId":"${spans[0]?.traceId}"`))).toHaveLength(2);
});

test('calls of an API and writes to other stores are below the page; no row is in any span', async () => {
  await addTargets(stores, 30);
  const { instance } = await run(world, 'documentMigration');
  const tree = treeOf(await traceOf('documentMigration', instance ?? ''));
  expect(tree['call below page']).toBe(30);
  expect(tree['prepare below page']).toBe(tree['chunk below page']);
  expect(Object.keys(tree)).not.toContainEqual(expect.stringContaining('unknown'));
  expect(collector.bodies.join('\n')).not.toMatch(/T-00000/u);
});

test('a run that fails, and one that goes on after it, are two traces', async () => {
  const told = { run: 'twice', items: 4, faults: [fails('write', 3)], skipLimit: 0 };
  await expect(run(world, 'fixture', told)).rejects.toThrow();
  await run(world, 'fixture', { ...told, faults: [] });
  // Either worker may have closed either run, and sends its spans when it is its time to.
  const ofInstance = ({ name, attributes }: ReceivedSpan) =>
    name === 'run' && attributes['keystride.instance'] === instanceOf('twice');
  const rootThat = (failed: boolean) => () =>
    collector.spans.find((span) => ofInstance(span) && span.failed === failed);
  const first = await waitFor(rootThat(true), { what: 'the run that failed' });
  const second = await waitFor(rootThat(false), { what: 'the run that went on' });
  expect(first.traceId).not.toBe(second.traceId);
  const page = await waitFor(
    () => collector.spans.find(({ name, traceId }) => name === 'page' && traceId === first.traceId),
    { what: 'the page of the run that failed' },
  );
  expect(page).toMatchObject({ failed: true, attributes: { 'error.type': 'SkipLimitExceeded' } });
});

test('a collector that is away neither slows a run down nor keeps a worker from ending', async () => {
  for (const worker of world.workers) await worker.stop();
  const worker = await world.startWorker({ environment: { KEYSTRIDE_TRACES: 'http://127.0.0.1:1' } });
  onTestFinished(() => worker.stop());
  expect((await run(world, 'fixture', { run: 'away' })).status).toBe('completed');
  await worker.kill('SIGTERM');
});
