import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bookProblems, readBooks } from '../../packages/keystride/src/prove/books.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`
    INSERT INTO keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status)
      VALUES ('job', 'job', '{}', 1, 'w', 'r', 'completed');
    INSERT INTO keystride.step (instance_key, step, status, epoch, skipped, skip_limit) VALUES ('job', 'copy', 'completed', 1, 1, 9);
    INSERT INTO keystride.checkpoint (instance_key, step, partition, epoch, read, filtered, written, skipped, done)
      VALUES ('job', 'copy', 0, 1, 10, 2, 7, 1, true), ('job', 'copy', 1, 1, 5, 0, 5, 0, true);
    INSERT INTO keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition)
      VALUES ('job', 'copy', '3', 'write', 'X', 'X', 'x', 0)`);
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

test('books that balance have no problem', async () => {
  const books = await readBooks(database.url, 'job');
  expect(books.problems).toEqual([]);
  expect(bookProblems(books, await readBooks(database.url, 'job'))).toEqual([]);
});

test.each([
  ['a row counted twice', `UPDATE keystride.checkpoint SET written = 8 WHERE partition = 0`],
  ['a partition that is not done', `UPDATE keystride.checkpoint SET done = false WHERE partition = 1`],
  ['a skip without its row', `DELETE FROM keystride.skip`],
  ['a skip that the limit has not counted', `UPDATE keystride.step SET skipped = 0`],
  ['a step that is open', `UPDATE keystride.step SET status = 'open'`],
  ['an instance that is still running', `UPDATE keystride.instance SET status = 'running'`],
  ['counters of another run', `UPDATE keystride.checkpoint SET read = 6, written = 6 WHERE partition = 1`],
])('%s shows', async (_what, harm) => {
  const expected = await readBooks(database.url, 'job');
  await client.query(harm);
  expect(bookProblems(expected, await readBooks(database.url, 'job'))).not.toEqual([]);
});
