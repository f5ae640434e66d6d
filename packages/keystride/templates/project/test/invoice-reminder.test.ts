import { waitFor } from 'keystride/testing';
import { createWorld, type World } from 'keystride/testing/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { invoiceReminderRows } from '../src/sample-rows/invoice-reminder.ts';

let world: World;

beforeAll(async () => {
  world = await createWorld();
  await invoiceReminderRows(world.database, 1000);
});

afterAll(() => world?.dispose());

test('a worker is killed in the middle, and every invoice is reminded of once', async () => {
  const { database } = world;
  const invoices = (await database.query<{ id: string }>('SELECT id FROM invoice ORDER BY id')).rows;
  // Somebody else writes one of the reminders and has not committed: the chunk with it waits.
  const other = await database.connect();
  await other.query('BEGIN');
  await other.query('INSERT INTO reminder (invoice_id, amount) VALUES ($1, 1)', [invoices[550]?.id]);

  const worker = await world.startWorker();
  const run = await world.start('invoiceReminder', { dueBefore: '2027-01-01' });
  const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await waitFor(async () => ((await database.query(waits)).rowCount ?? 0) > 0);
  await worker.kill('SIGKILL');
  await other.query('ROLLBACK');
  other.release();

  await world.startWorker();
  const report = await run.result();
  expect(report.status).toBe('completed');
  expect(await world.books(report)).toEqual({
    steps: { remind: { read: 1000, unreadable: 0, written: 1000, filtered: 0, skipped: 0 } },
    problems: [],
  });
  const reminders = await database.query('SELECT invoice_id AS id FROM reminder ORDER BY invoice_id');
  expect(reminders.rows).toEqual(invoices);
});

test('an invoice that cannot be right is set aside, and the others go on', async () => {
  await world.database.query(
    `INSERT INTO invoice (customer, amount, due_on) VALUES ('one', -1, '2026-06-01')`,
  );
  const run = await world.start('invoiceReminder', { dueBefore: '2026-12-01' });
  const report = await run.result();
  expect((await world.books(report)).steps['remind']).toMatchObject({ skipped: 1 });
});
