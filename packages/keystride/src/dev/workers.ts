import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { withBoundedMemory } from '../host/worker-memory.ts';
import { ourModule } from './own-files.ts';
import { ServerProcess, type ProcessOwner } from './server-process.ts';

/** One worker process of ours. */
export interface WorkerProcess {
  readonly name: string;
  readonly pid: number | undefined;
  /** What it has written, stdout and stderr. */
  readonly logFile: string;
  /** Sends a signal, default SIGKILL; resolves when it is gone, or at once for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Kills it if it lives and starts it again. */
  restart(): Promise<void>;
  /** Lets it finish what it has in hand, by force when that takes longer than twenty seconds. */
  stop(): Promise<void>;
}

/** How to run one worker. */
export interface WorkerOptions {
  home: string;
  /** Of its process and its log: `worker-1`, `worker-2`, … */
  name: string;
  /** What it runs. @default a program of ours, for the project that `KEYSTRIDE_CONFIG` names */
  program?: string;
  /** All that the worker is to know, the addresses of the stack included. */
  environment: NodeJS.ProcessEnv;
  owner: ProcessOwner;
}

/**
 * Starts a worker and waits until it says that it polls.
 * @throws PartError when it does not within a minute
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { name, program = ourModule('host/worker-program') } = options;
  const logFile = path.join(options.home, 'logs', `${name}.log`);
  const worker = new ServerProcess(
    {
      name,
      command: process.execPath,
      arguments: [program],
      environment: withBoundedMemory(options.environment),
      logFile,
      probe: readiness(),
      readyWithinMs: 60_000,
      stopSignal: 'SIGTERM',
      stopWithinMs: 20_000,
      channel: true,
    },
    options.owner,
  );
  await worker.start();
  return {
    name,
    logFile,
    get pid() {
      return worker.pid;
    },
    kill: (signal) => worker.kill(signal),
    restart: () => worker.restart(),
    stop: () => worker.stop(),
  };
}

/** A probe that succeeds once this child has sent `{type: 'ready'}`. */
function readiness(): (child: ChildProcess) => Promise<void> {
  const listenedTo = new WeakSet<ChildProcess>();
  const ready = new WeakSet<ChildProcess>();
  return async (child) => {
    if (!listenedTo.has(child)) {
      listenedTo.add(child);
      child.on('message', (message: unknown) => {
        if (isReady(message)) ready.add(child);
      });
    }
    if (!ready.has(child)) throw new Error('does not poll yet');
  };
}

function isReady(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}
