import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { startWorker, type WorkerOptions, type WorkerProcess } from '../dev/workers.ts';

/** A worker, in a process of its own. */
export interface TestWorker extends Omit<WorkerProcess, 'name'> {
  /** Resident memory at this moment, in bytes; 0 when it is gone. */
  residentBytes(): Promise<number>;
}

/** Ends, when a test fails, what it has started. */
export type OnStarted = (end: () => Promise<unknown>) => void;

/** Starts a worker and waits until it polls. @param onStarted is told how to thaw it when it is frozen */
export async function startTestWorker(
  options: WorkerOptions,
  onStarted: OnStarted = () => undefined,
): Promise<TestWorker> {
  const worker = await startWorker(options);
  return {
    get pid() {
      return worker.pid;
    },
    logFile: worker.logFile,
    kill: (signal) => {
      if (signal === 'SIGSTOP') onStarted(() => worker.kill('SIGCONT'));
      return worker.kill(signal);
    },
    restart: () => worker.restart(),
    stop: () => worker.stop(),
    residentBytes: async () => (worker.pid === undefined ? 0 : residentBytesOf(worker.pid)),
  };
}

async function residentBytesOf(pid: number): Promise<number> {
  // `ps` fails for a process that is gone.
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]).catch(() => ({
    stdout: '0',
  }));
  return Number(stdout) * 1024;
}
