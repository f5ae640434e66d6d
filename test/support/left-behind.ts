import { readFile } from 'node:fs/promises';
import type { World } from 'keystride/testing';
import type { Stores } from './migration.ts';

/** Everything that runs have left where people may look: histories, ledger and the logs of the workers. */
export async function leftBehind(
  world: Pick<World, 'client' | 'workers'>,
  stores: Pick<Stores, 'migration'>,
): Promise<string> {
  const parts: string[] = [];
  for await (const { workflowId: id, runId } of world.client.workflow.list()) {
    const handle = world.client.workflow.getHandle(id, runId);
    parts.push(readable(await handle.fetchHistory()), readable(await handle.describe()));
  }
  const tables = await stores.migration.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'keystride'`,
  );
  for (const { name } of tables.rows) {
    const { rows } = await stores.migration.query(`SELECT t::text AS row FROM ${name} AS t`);
    parts.push(JSON.stringify(rows));
  }
  for (const { logFile } of world.workers) parts.push(await readFile(logFile, 'utf8'));
  return parts.join('\n');
}

/** Payloads hold their JSON as bytes. */
function readable(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) => {
    if (typeof entry === 'bigint') return String(entry);
    if (entry instanceof Uint8Array) return Buffer.from(entry).toString();
    return isBytes(entry) ? Buffer.from(entry.data).toString() : entry;
  });
}

function isBytes(entry: unknown): entry is { readonly data: number[] } {
  return typeof entry === 'object' && entry !== null && 'type' in entry && entry.type === 'Buffer';
}
