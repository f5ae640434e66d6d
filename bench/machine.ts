import { cpus, totalmem, type } from 'node:os';
import type { Bench } from './bench.ts';

/** What figures come from: the machine, and the versions of what did the work. No name of it, and no place. */
export async function describeMachine({ database, client }: Bench): Promise<string> {
  const { rows } = await database.query<{ server_version: string }>('show server_version');
  const { serverVersion } = await client.workflowService.getSystemInfo({});
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    `${memory} GiB`,
    type(),
    `Node ${process.versions.node}`,
    `PostgreSQL ${rows[0]?.server_version.split(' ')[0] ?? '?'}`,
    `Temporal ${serverVersion ?? '?'}`,
  ].join(' · ');
}
