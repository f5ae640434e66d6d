import { execFile, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess, type ProcessOwner } from '../../packages/keystride/src/dev/server-process.ts';
import { withBoundedMemory } from '../../packages/keystride/src/host/worker-memory.ts';
import { startedByTest } from './started.ts';

/** A worker, in a process of its own. */
export interface TestWorker {
  readonly pid: number | undefined;
  /** What it has written so far, stdout and stderr. */
  readonly logFile: string;
  /** Sends a signal; resolves when the process is gone, or at once for SIGSTOP and SIGCONT. @default SIGKILL */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it if it lives, and starts it again. */
  restart(): Promise<void>;
  /** Lets it finish what it has in hand. */
  stop(): Promise<void>;
  /** Resident memory at this moment, in bytes; 0 when it is gone. */
  residentBytes(): Promise<number>;
}

/** Which program a worker runs, and with what. */
export interface TestWorkerOptions {
  name: string;
  home: string;
  program: string;
  environment: NodeJS.ProcessEnv;
  owner: ProcessOwner;
}

/** Starts a worker and waits until it sends `{type: 'ready'}`. */
export async function startTestWorker(options: TestWorkerOptions): Promise<TestWorker> {
  const logFile = path.join(options.home, 'logs', `${options.name}.log`);
  const worker = new ServerProcess(
    {
      name: options.name,
      command: process.execPath,
      arguments: [options.program],
      environment: withBoundedMemory(options.environment),
      logFile,
      probe: untilReady(),
      readyWithinMs: 60_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 20_000,
      channel: true,
    },
    options.owner,
  );
  await worker.start();
  return {
    get pid() {
      return worker.pid;
    },
    logFile,
    kill: (signal) => {
      if (signal === 'SIGSTOP') startedByTest(() => worker.kill('SIGCONT'));
      return worker.kill(signal);
    },
    restart: () => worker.restart(),
    stop: () => worker.stop(),
    residentBytes: async () => (worker.pid === undefined ? 0 : residentBytesOf(worker.pid)),
  };
}

/** A probe that succeeds once this child has said that it polls. */
function untilReady(): (child: ChildProcess) => Promise<void> {
  const heard = new WeakMap<ChildProcess, { ready: boolean }>();
  return async (child) => {
    const known = heard.get(child);
    if (known?.ready) return;
    if (known === undefined) {
      const state = { ready: false };
      heard.set(child, state);
      child.on('message', (message: unknown) => {
        if (
          typeof message === 'object' &&
          message !== null &&
          'type' in message &&
          message.type === 'ready'
        ) {
          state.ready = true;
        }
      });
    }
    throw new Error('does not poll yet');
  };
}

async function residentBytesOf(pid: number): Promise<number> {
  // `ps` fails for a process that is gone.
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]).catch(() => ({
    stdout: '0',
  }));
  return Number(stdout) * 1024;
}
