/**
 * Records the histories of a release beside this file, in a folder of its version, with the build that it is: `npm run
 * release` calls it. Earlier releases keep their histories, and only the newest keeps its build.
 *
 * Each is a small run on real parts. All of them are replayed against the present workflows, and runs that the released
 * build has begun are ended by the present one, so that a change which an open run would not survive is noticed before a
 * deployment. A release is recorded anew only as long as nobody has it.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, constants } from 'node:zlib';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { loadProject } from '../../packages/keystride/src/project/project.ts';
import { startStack } from '../../packages/keystride/src/dev/stack.ts';
import type { JobProgress } from '../../packages/keystride/src/contract/progress.ts';

const documents = 80;

const packageFile = path.join(import.meta.dirname, '../../package.json');
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
const folder = path.join(import.meta.dirname, version);

/** Jobs that need no data to pass through all that their workflows do. */
const withoutData: readonly (readonly [workflow: string, parameters: object])[] = [
  ['evenNumbers', {}],
  ['purchaseConfirmation', { deliveredBefore: '2025-10-01' }],
  ['medicationHistory', { date: '2025-10-01' }],
  ['pointSettlement', { date: '2025-10-01' }],
  [
    'couponExchange',
    { name: 'New', description: 'Ten off', amountType: 'FIX', amount: 10, expiredCouponId: 1 },
  ],
  [
    'tableSync',
    {
      source: 'legacy_document',
      sink: 'migration_target',
      mode: 'bulk',
      key: ['ticket_key'],
      columns: ['ticket_key', 'member_id', 'document_name', 'uploaded_at'],
    },
  ],
  ['prune', {}],
  ['scheduledJob', { job: 'evenNumbers', parameters: { from: 2 }, scheduledAt: '2025-10-01T02:00:00Z' }],
];

// Somebody who is told when a job fails.
const webhook = createServer((_, response) => response.writeHead(204).end()).listen(0, '127.0.0.1');
await once(webhook, 'listening');
process.env['ALERT_WEBHOOK_URL'] = `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`;

const project = await loadProject(path.join(import.meta.dirname, '../../keystride.config.ts'));
const stack = await startStack({
  ephemeral: true,
  workers: 1,
  project,
  stubArguments: { legacyApi: ['--latency=150'] },
  onProgress: ({ part, text }) => console.error(`${part}: ${text}`),
});
const connection = await Connection.connect({ address: stack.info.temporalAddress });
const client = new Client({ connection, namespace: stack.info.temporalNamespace });

try {
  rmSync(folder, { recursive: true, force: true });
  // What was recorded since the release before: of workflows and ways through them that it did not have.
  rmSync(path.join(import.meta.dirname, 'unreleased'), { recursive: true, force: true });
  mkdirSync(folder);
  await record();
  keepBuild();
} finally {
  await connection.close();
  await stack.stop();
  webhook.close();
}

/** What the tests' workers run as the previous build: the sources, which Node takes as they are. */
function keepBuild(): void {
  for (const file of globSync('*/build.tar.br', { cwd: import.meta.dirname }))
    rmSync(path.join(import.meta.dirname, file));
  const parts = ['package.json', 'keystride.config.ts', 'src', 'packages/keystride/package.json', 'packages/keystride/src'];
  const tar = execFileSync('tar', ['--exclude=node_modules', '-c', ...parts], {
    cwd: path.dirname(packageFile),
    maxBuffer: 2 ** 30,
  });
  const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };
  writeFileSync(path.join(folder, 'build.tar.br'), brotliCompressSync(tar, { params }));
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
  await save('alert', await completed(await alertOf(failed)));

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

  await configure({ overrides: {} });
  const again = await start('redrive', { instance: 'documentMigration:run=2' });
  await save('redrive', await completed(again));
  // Failed or completed: both are histories that a run may have.
  for (const [workflow, parameters] of withoutData)
    await save(workflow.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`), await failing(await start(workflow, parameters)));
}

function start(job: string, parameters: object): Promise<WorkflowHandle> {
  return client.workflow.start(job, { taskQueue: 'keystride', workflowId: job, args: [parameters] });
}

/** The run that tells the webhook; it begins before its job ends, and is listed some time later. */
async function alertOf({ workflowId }: WorkflowHandle): Promise<WorkflowHandle> {
  for (;;) {
    for await (const found of client.workflow.list({ query: 'WorkflowType = "alert"' }))
      return client.workflow.getHandle(found.workflowId);
    console.error(`${workflowId}: waiting for its alert`);
    await delay(500);
  }
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
  await fetch(`${stack.stubs['legacyApi']?.url}/configure`, { method: 'POST', body: JSON.stringify(change) });
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
  const file = path.join(folder, `${name}.json`);
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
