/**
 * Records the histories beside this file: `node test/histories/record.ts`.
 *
 * Each is a small run on real parts. They are replayed against the present workflows, so that a change which an open
 * run would not survive is noticed before a deployment; record them anew only when such a change is meant.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { createDemoDocuments } from '../../src/dev/demo-data/documents.ts';
import { startStack } from '../../src/dev/stack.ts';
import type { JobProgress } from '../../src/contract/progress.ts';

const documents = 80;

const stack = await startStack({
  ephemeral: true,
  workers: 1,
  legacyApiArguments: ['--latency=150'],
  onProgress: ({ part, text }) => console.error(`${part}: ${text}`),
});
const connection = await Connection.connect({ address: stack.info.temporalAddress });
const client = new Client({ connection, namespace: stack.info.temporalNamespace });

try {
  await record();
} finally {
  await connection.close();
  await stack.stop();
}

async function record(): Promise<void> {
  await createDemoDocuments({ sourceDatabaseUrl: stack.info.sourceDatabaseUrl, count: documents });
  await save('target-sync-partitions', await completed(await start('targetSync', { partitions: 2 })));
  await save('partition', client.workflow.getHandle('targetSync/copy/p0'));
  await save('target-sync-incrementing', await completed(await start('targetSync', { mode: 'incrementing', partitions: 1 })));

  await configure({ overrides: { 'T-0000007': '404', 'T-0000060': 'A_NEW_RULE' } });
  const failed = await start('documentMigration', { inFlight: 5 });
  await failed.result().catch(() => undefined);
  await save('document-migration-failed', failed);

  await configure({ overrides: { 'T-0000060': '400' } });
  const stopped = await start('documentMigration', { inFlight: 2 });
  await moving(stopped);
  await stopped.executeUpdate('stop', { args: [{ reason: 'going home' }] });
  await save('document-migration-stopped', await completed(stopped));

  await empty();
  const paused = await start('documentMigration', { inFlight: 5, run: 2 });
  await moving(paused);
  await paused.executeUpdate('pause', { args: [{ reason: 'lunch' }] });
  while ((await paused.query<JobProgress>('progress')).status !== 'paused') await delay(100);
  await paused.executeUpdate('resume');
  await save('document-migration-paused-with-skips', await completed(paused));
  await save('document-migration-complete-already', await failing(await start('documentMigration', { run: 2 })));
  const compared = await client.workflow.start('verification', {
    taskQueue: 'keystride',
    workflowId: 'verification',
    args: [{ job: 'documentMigration', parameters: { run: 2 } }],
  });
  await save('verification', await completed(compared));
}

function start(job: string, parameters: object): Promise<WorkflowHandle> {
  return client.workflow.start(job, { taskQueue: 'keystride', workflowId: job, args: [parameters] });
}

async function completed(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result();
  return handle;
}

async function failing(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined);
  return handle;
}

/** Waits until the pages have begun. */
async function moving(handle: WorkflowHandle): Promise<void> {
  while ((await handle.query<JobProgress>('progress')).steps.length === 0) await delay(50);
  await delay(500);
}

async function configure(change: object): Promise<void> {
  await fetch(`${stack.info.legacyApiUrl}/configure`, { method: 'POST', body: JSON.stringify(change) });
}

/** Makes every target one that is to be migrated again. */
async function empty(): Promise<void> {
  const database = new pg.Client({ connectionString: stack.info.databaseUrl });
  await database.connect();
  await database.query('TRUNCATE expected_migration_target');
  await database.query('UPDATE migration_target SET migrated = false, preprocess_id = NULL');
  await database.end();
}

async function save(name: string, handle: WorkflowHandle): Promise<void> {
  const history = await client.workflow.getHandle(handle.workflowId).fetchHistory();
  const plain = (history.constructor as unknown as MessageClass).toObject(history, { longs: Number, bytes: String });
  const file = path.join(import.meta.dirname, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(plain, withoutMachine, 1)}\n`);
  console.error(`recorded ${name}`);
}

/** A class of protobuf messages: as numbers and base64 they are plain data, and what replays them takes them as such. */
interface MessageClass {
  toObject(message: object, options: { longs: NumberConstructor; bytes: StringConstructor }): object;
}

/** What tells of the machine and matters to nobody who replays. */
function withoutMachine(key: string, value: unknown): unknown {
  if (key === 'identity') return 'worker';
  if (key === 'stackTrace') return '';
  return value;
}
