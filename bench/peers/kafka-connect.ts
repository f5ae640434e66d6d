import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Bench } from '../bench.ts';
import type { Peer } from '../figures.ts';
import { builtPeer } from './build.ts';
import { NoPeer } from './peer-of.ts';

const execute = promisify(execFile);

const report = z.object({ peer: z.string(), seconds: z.number(), rssMb: z.number() });

/**
 * Lets Kafka Connect copy the targets of the stack's databases. Broker and worker start before its time runs.
 * @throws NoPeer when it cannot be built here, or the server does not stream its changes; Error when it fails
 */
export async function kafkaConnect({ config, service, note }: Bench): Promise<Peer> {
  const { rows } = await service.query<{ wal_level: string }>('show wal_level');
  if (rows[0]?.wal_level !== 'logical') throw new NoPeer('Debezium needs a server with wal_level=logical');
  const place = await builtPeer(
    { folder: 'kafka-connect', build: ['./run.sh', 'build'], needs: ['bash', 'psql', 'curl'] },
    note,
  );
  const given = [
    `SOURCE_DATABASE_URL=${config.sourceDatabaseUrl}`,
    `DATABASE_URL=${config.databaseUrl}`,
    'TUNED=1',
  ];
  try {
    const { stdout } = await execute(path.join(place, 'run.sh'), ['sync', ...given, 'TIMEOUT=300'], {
      // It ends broker and worker when it is told to end.
      timeout: 420_000,
      maxBuffer: 2 ** 26,
    });
    const { peer, seconds, rssMb } = report.parse(JSON.parse(stdout));
    return { name: peer, settings: 'TUNED=1', seconds, maxRssMb: rssMb };
  } finally {
    rmSync(path.join(place, 'data'), { recursive: true, force: true });
  }
}
