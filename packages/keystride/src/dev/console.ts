import path from 'node:path';
import { ourModule } from './own-files.ts';
import type { Part } from './part.ts';
import { freePort } from './ports.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';

/** How to run the console of a stack. */
export interface ConsoleOptions {
  readonly home: string;
  /** The addresses of the stack. */
  readonly environment: NodeJS.ProcessEnv;
  readonly owner: ProcessOwner;
  readonly report: Reporter;
}

/** Where it listens when nobody else does. */
const preferredPort = 9233;

/**
 * Starts the console as a process of its own.
 * @throws PartError when it does not come up
 */
export async function startConsolePart({
  home,
  environment,
  owner,
  report,
}: ConsoleOptions): Promise<Pick<Part, 'url' | 'pid' | 'restart' | 'stop'>> {
  const port = await freePort(preferredPort);
  const url = `http://127.0.0.1:${port}`;
  const server = new ServerProcess(
    {
      name: 'console',
      command: process.execPath,
      arguments: [ourModule('cli/main'), 'console', '--listen', `127.0.0.1:${port}`],
      environment,
      logFile: path.join(home, 'logs', 'console.log'),
      probe: () => answers(url),
      readyWithinMs: 30_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 3_000,
    },
    owner,
  );
  await server.start();
  report.up(url);
  return {
    url,
    get pid() {
      return server.pid;
    },
    restart: () => server.restart(),
    stop: () => server.stop(),
  };
}

/** Its pages ask Temporal; its icon asks nobody. */
async function answers(url: string): Promise<void> {
  const { ok, status } = await fetch(`${url}/assets/icon.svg`, { signal: AbortSignal.timeout(2_000) });
  if (!ok) throw new Error(`answers ${status}`);
}
