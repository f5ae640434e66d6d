import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import pg from 'pg';
import type { Part } from '../../packages/keystride/src/dev/part.ts';

/**
 * Takes a backup of a server of ours, as its files are when it has been stopped. It is up again afterwards.
 *
 * @returns what puts the backup in its place, once: what was written since is gone, and the server is the same.
 */
export async function backUp(postgres: Part): Promise<() => Promise<void>> {
  const data = await directoryOf(postgres);
  const copy = `${data}-backup`;
  await postgres.kill('SIGINT');
  execFileSync('cp', ['-a', data, copy]);
  await postgres.restart();
  return async () => {
    await postgres.kill('SIGINT');
    rmSync(data, { recursive: true });
    execFileSync('mv', [copy, data]);
    await postgres.restart();
  };
}

async function directoryOf({ url }: Part): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
    return rows[0]?.data_directory ?? '';
  } finally {
    await client.end();
  }
}
