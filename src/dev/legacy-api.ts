import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { ourModule } from './own-files.ts';
import { PartError, givenPart, type Part } from './part.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';
import { freePort } from './ports.ts';

/** How to run the stub of the legacy API. */
export interface LegacyApiOptions {
  home: string;
  /** Passed through to the stub: latency, shares of failures and so on. */
  arguments: readonly string[];
  owner: ProcessOwner;
  report: Reporter;
}

/**
 * Starts the stub of the legacy API.
 * @throws PartError when it does not come up
 */
export async function startLegacyApi(options: LegacyApiOptions): Promise<Part> {
  const port = await freePort();
  const logFile = path.join(options.home, 'logs', 'legacy-api.log');
  const url = `http://127.0.0.1:${port}`;
  rmSync(logFile, { force: true });
  const server = new ServerProcess(
    {
      name: 'legacyApi',
      command: process.execPath,
      arguments: [ourModule('dev/legacy-api/server'), '--port', String(port), ...options.arguments],
      environment: process.env,
      logFile,
      probe: async () => expectFirstLine(logFile, url),
      readyWithinMs: 20_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 3_000,
      tryAgainAfter: /EADDRINUSE/,
    },
    options.owner,
  );
  await server.start();
  options.report.up(`stub at ${url}`);
  return {
    url,
    origin: 'stub',
    get pid() {
      return server.pid;
    },
    kill: (signal) => server.kill(signal),
    restart: async () => {
      await server.kill();
      rmSync(logFile, { force: true });
      await server.start();
    },
    stop: () => server.stop(),
  };
}

/**
 * Checks a legacy API that the environment names: any answer will do.
 * @throws PartError when it does not answer within ten seconds
 */
export async function useLegacyApi(url: string, shown: string, report: Reporter): Promise<Part> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).body?.cancel();
  } catch (error) {
    throw new PartError(
      {
        what: `the legacy API does not answer: ${error instanceof Error ? error.message : String(error)}`,
        where: shown,
        todo: 'Start it, correct LEGACY_API_URL, or unset it to have the stub started.',
      },
      { cause: error },
    );
  }
  report.up(`using ${shown}`);
  return givenPart(url, shown);
}

const firstLineSchema = z.object({ url: z.string() });

/** The stub's first line of output says where it listens. */
function expectFirstLine(logFile: string, url: string): void {
  const text = existsSync(logFile) ? readFileSync(logFile, 'utf8') : '';
  const line = text.split('\n').find((candidate) => candidate.startsWith('{"url"'));
  if (line === undefined) throw new Error('has not said where it listens');
  const said = firstLineSchema.parse(JSON.parse(line)).url;
  if (said !== url) throw new Error(`listens at ${said} instead of ${url}`);
}
