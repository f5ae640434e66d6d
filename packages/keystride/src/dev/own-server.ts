import path from 'node:path';
import { ourModule } from './own-files.ts';
import type { Part } from './part.ts';
import type { Reporter } from './progress.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';

/** How to run a server of keystride's own in a stack. */
export interface OwnServerOptions {
  /** The command that starts it, which its log is called after. */
  readonly name: 'console' | 'codec-server';
  /** Of 127.0.0.1, where nobody listens. */
  readonly port: number;
  readonly home: string;
  /** The addresses of the stack. */
  readonly environment: NodeJS.ProcessEnv;
  readonly owner: ProcessOwner;
  readonly report: Reporter;
}

/** A server of keystride's own that runs. */
export type OwnServer = Pick<Part, 'url' | 'pid' | 'restart' | 'stop'>;

/**
 * Starts the console, or the codec server, as a process of its own.
 * @throws PartError when it does not come up
 */
export async function startOwnServer({
  name,
  port,
  home,
  environment,
  owner,
  report,
}: OwnServerOptions): Promise<OwnServer> {
  const url = `http://127.0.0.1:${port}`;
  const server = new ServerProcess(
    {
      name,
      command: process.execPath,
      arguments: [ourModule('cli/main'), name, '--listen', `127.0.0.1:${port}`],
      environment,
      logFile: path.join(home, 'logs', `${name}.log`),
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

/** The pages of the console ask Temporal; its icon asks nobody, and the codec server has nothing to show. */
async function answers(url: string): Promise<void> {
  const { status } = await fetch(`${url}/assets/icon.svg`, { signal: AbortSignal.timeout(2_000) });
  if (status >= 500) throw new Error(`answers ${status}`);
}
