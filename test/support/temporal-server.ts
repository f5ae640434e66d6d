import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { inject } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';
import { temporalBinary } from '../../packages/keystride/src/dev/temporal-binary.ts';
import { withoutTemporalSettings } from '../../packages/keystride/src/dev/temporal.ts';

/** A Temporal server of a test's own. */
export interface TemporalServer {
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * Starts a development server with settings of its own, in memory.
 *
 * @param settings dynamic configuration: `limit.historyCount.suggestContinueAsNew`, say.
 */
export async function startTemporalServer(
  settings: Readonly<Record<string, number>>,
): Promise<TemporalServer> {
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-temporal-'));
  const binary = await temporalBinary(inject('keystride').cache, () => undefined);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const guard = new Guard();
  const server = new ServerProcess(
    {
      name: 'temporal',
      command: binary.path,
      arguments: [
        ...[
          'server',
          'start-dev',
          '--ip',
          '127.0.0.1',
          '--port',
          String(port),
          '--headless',
          '--log-level',
          'warn',
        ],
        ...Object.entries(settings).flatMap(([name, value]) => [
          '--dynamic-config-value',
          `${name}=${value}`,
        ]),
      ],
      environment: withoutTemporalSettings(process.env),
      logFile: path.join(home, 'temporal.log'),
      probe: () => answers(address),
      readyWithinMs: 60_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
    },
    guard.owner,
  );
  await server.start();
  return {
    address,
    stop: async () => {
      await server.stop();
      guard.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function answers(address: string): Promise<void> {
  const connection = Connection.lazy({ address, connectTimeout: 2_000 });
  try {
    await connection.ensureConnected();
    await connection.workflowService.describeNamespace({ namespace: 'default' });
  } finally {
    await connection.close();
  }
}
