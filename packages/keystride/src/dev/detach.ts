import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askSupervisor } from './control.ts';
import { ourModule } from './own-files.ts';
import { PartError } from './part.ts';
import { endProcess, isAlive } from './processes.ts';
import type { OnProgress } from './progress.ts';
import { cleanUpLeftovers, isRunning, livingProcesses, readState, type StackState } from './state.ts';
import type { SupervisorOptions } from './supervise.ts';
import type { SupervisorMessage } from './supervisor.ts';

/**
 * Brings up a stack that outlives us, and returns when all of it is up. Where one runs already, waits until it is up,
 * starts again what has died in it, and returns that one.
 * @throws PartError when a part does not come up
 */
export async function detachStack(options: SupervisorOptions, onProgress: OnProgress): Promise<StackState> {
  const present = (await runningStack(options.home)) ?? (await startOrFind(options, onProgress));
  if (present !== undefined) {
    onProgress({ part: 'stack', text: `runs already in ${options.home}` });
    await askSupervisor(present, { do: 'revive' });
    const missing = options.workers - livingWorkers(present).length;
    if (missing > 0) await askSupervisor(present, { do: 'addWorkers', count: missing });
  }
  const state = readState(options.home);
  if (state === undefined) throw diedAgain(options.home);
  return state;
}

/**
 * Ends the stack of a home, or what a dead supervisor left of it.
 * @returns the names of the processes that were running
 */
export async function stopStack(home: string): Promise<string[]> {
  const state = readState(home);
  if (state === undefined) return [];
  const names = livingProcesses(state).map(({ name }) => name);
  // Parts end one after the other and workers finish their chunk first, so this may take a while.
  if (isRunning(state)) await endProcess(state.supervisor, 'SIGTERM', 60_000);
  const leftOver = readState(home);
  if (leftOver !== undefined && !isAlive(leftOver.supervisor)) await cleanUpLeftovers(home, leftOver);
  return names;
}

/** The worker processes of a stack that live. */
export function livingWorkers(state: StackState): { pid: number }[] {
  return livingProcesses(state)
    .filter(({ name }) => name.startsWith('worker-'))
    .map(({ identity }) => ({ pid: identity.pid }));
}

/** The stack of a home once it is up; undefined when there is none, or only what a dead supervisor left. */
async function runningStack(home: string): Promise<StackState | undefined> {
  for (;;) {
    const state = readState(home);
    if (state === undefined || !isRunning(state)) return undefined;
    if (state.status === 'up' && state.control !== undefined) return state;
    await delay(100);
  }
}

/** Starts a supervisor; returns the stack of another one that was started at the same moment and took the home. */
async function startOrFind(
  options: SupervisorOptions,
  onProgress: OnProgress,
): Promise<StackState | undefined> {
  try {
    await startSupervisor(options, onProgress);
    return undefined;
  } catch (error) {
    const other = await runningStack(options.home);
    if (other === undefined) throw error;
    return other;
  }
}

function startSupervisor(options: SupervisorOptions, onProgress: OnProgress): Promise<void> {
  const logs = path.join(options.home, 'logs');
  mkdirSync(logs, { recursive: true });
  const log = openSync(path.join(logs, 'supervisor.log'), 'a', 0o600);
  const child = spawn(process.execPath, [ourModule('dev/supervisor'), JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(diedAgain(options.home)));
    child.on('message', (message: SupervisorMessage) => {
      if (message.type === 'progress') return onProgress(message.event);
      if (message.type === 'failed') return reject(new PartError(message));
      child.removeAllListeners();
      child.disconnect();
      child.unref();
      resolve();
    });
  });
}

function diedAgain(home: string): PartError {
  return new PartError({
    what: 'the supervisor of the stack ended',
    where: home,
    todo: `Read ${path.join(home, 'logs', 'supervisor.log')}.`,
  });
}
