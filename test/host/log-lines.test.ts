import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fails, Fixture, instanceOf } from '../conformance/fixture.ts';
import { reportOf } from '../support/runs.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

type Line = Readonly<Record<string, unknown>>;

async function linesOf(message: string): Promise<Line[]> {
  const [worker] = fixture.world.workers;
  const log = await readFile(worker?.logFile ?? '', 'utf8');
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ msg }) => msg === message);
}

test('each page and each skip of a run has its line, with where it belongs', async () => {
  const { world, pool } = fixture;
  const faults = [fails('process', 3), fails('write', 18)];
  const slow = { itemMilliseconds: 60, pageSeconds: 0.5 };
  const told = { run: 'lines', items: 20, partitions: 2, chunkSize: 2, faults, ...slow };
  const handle = await world.start('fixture', told);
  const report = await reportOf(handle);
  expect(report.status).toBe('completedWithSkips');
  const instance = instanceOf('lines');
  const place = { level: 30, job: 'fixture', instance, step: 'items' };

  const pages = await linesOf('page ended');
  const of = (partition: number) => pages.filter((line) => line['partition'] === partition);
  for (const partition of [0, 1]) {
    expect(of(partition).length).toBeGreaterThan(1);
    expect(of(partition).map(({ done }) => done)).toEqual([
      ...of(partition)
        .slice(1)
        .map(() => false),
      true,
    ]);
  }
  for (const line of pages)
    expect(line).toMatchObject({
      ...place,
      workflowId: expect.any(String),
      workflowRunId: expect.any(String),
    });
  // The last of each partition has what the partition came to.
  const read = [0, 1].map((partition) => of(partition).at(-1)?.['read'] as number);
  expect(read.reduce((sum, one) => sum + one, 0)).toBe(20);

  const skips = await linesOf('item skipped');
  const { rows } = await pool.query<{ item_key: string; phase: string; code: string; partition: number }>(
    'SELECT item_key, phase, code, partition FROM keystride.skip WHERE instance_key = $1 ORDER BY partition',
    [instance],
  );
  expect(rows).toHaveLength(2);
  const lines = skips.map(({ key, phase, code, partition }) => ({ item_key: key, phase, code, partition }));
  expect(lines.toSorted((a, b) => Number(a.partition) - Number(b.partition))).toEqual(rows);
  for (const line of skips)
    expect(line).toMatchObject({
      ...place,
      attempts: 1,
      reason: expect.any(String),
      workflowRunId: expect.any(String),
    });
});
