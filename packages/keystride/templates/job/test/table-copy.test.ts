import { waitFor } from 'keystride/testing';
import { createWorld, type World } from 'keystride/testing/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableCopyRows } from '../src/sample-rows/table-copy.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld();
  await tableCopyRows(world.database, 1000);
});

afterAll(() => world?.dispose());

test('a worker is killed in the middle, and every row is done once', async () => {
  const { database } = world;
  // Somebody else notes one of the rows and has not committed: the chunk with it waits.
  const other = await database.connect();
  await other.query('BEGIN');
  const taken = `INSERT INTO table_copy (id) SELECT id FROM sample_table ORDER BY id OFFSET 550 LIMIT 1`;
  await other.query(taken);

  const worker = await world.startWorker();
  const run = await world.start('tableCopy');
  const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await waitFor(async () => ((await database.query(waits)).rowCount ?? 0) > 0);
  await worker.kill('SIGKILL');
  await other.query('ROLLBACK');
  other.release();

  await world.startWorker();
  const report = await run.result();
  expect(report.status).toBe('completed');
  expect(await world.books(report)).toEqual({
    steps: { work: { read: 1000, unreadable: 0, written: 1000, filtered: 0, skipped: 0 } },
    problems: [],
  });
  const { rows } = await database.query('SELECT count(*)::int AS noted FROM table_copy');
  expect(rows).toEqual([{ noted: 1000 }]);
});
