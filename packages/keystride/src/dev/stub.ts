import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { PartError, givenPart, type Part } from './part.ts';
import { freePort } from './ports.ts';
import type { Reporter } from './progress.ts';
import type { StubDefinition } from '../project/config.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';

/** How to run a stub. */
export interface StubOptions {
  home: string;
  /** Passed through to the stub: latency, shares of failures and so on. */
  arguments: readonly string[];
  owner: ProcessOwner;
  report: Reporter;
}

/** Which stub it is, with the path of its program made absolute. */
export type StubKind = StubDefinition;

/**
 * Starts a stub as a process of its own.
 * @throws PartError when it does not come up
 */
export async function startStub({ name, program }: StubKind, options: StubOptions): Promise<Part> {
  const port = await freePort();
  const logFile = path.join(options.home, 'logs', `${name}.log`);
  const url = `http://127.0.0.1:${port}`;
  rmSync(logFile, { force: true });
  const server = new ServerProcess(
    {
      name,
      command: process.execPath,
      arguments: [program, '--port', String(port), ...options.arguments],
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
 * Checks an API that the environment names instead of the stub: any answer will do.
 * @throws PartError when it does not answer within ten seconds
 */
export async function useRealOne(
  { standsFor, variable }: StubKind,
  url: string,
  shown: string,
  report: Reporter,
): Promise<Part> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).body?.cancel();
  } catch (error) {
    throw new PartError(
      {
        what: `${standsFor} does not answer: ${error instanceof Error ? error.message : String(error)}`,
        where: shown,
        todo: `Start it, correct ${variable}, or unset it to have the stub started.`,
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
