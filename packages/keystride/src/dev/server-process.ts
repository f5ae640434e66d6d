import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PartError } from './part.ts';
import { identityOf, isSystemError, type ProcessIdentity } from './processes.ts';

/** Is told of every process that a part starts and loses. */
export interface ProcessOwner {
  started(name: string, identity: ProcessIdentity, signal: NodeJS.Signals): void;
  /** @param expected whether we ended it ourselves */
  ended(name: string, identity: ProcessIdentity, expected: boolean): void;
}

/** How to run one server and how to see that it is up. */
export interface ServerOptions {
  name: string;
  command: string;
  arguments: readonly string[];
  environment: NodeJS.ProcessEnv;
  workingDirectory?: string;
  /** The user to run as; only root may choose. */
  user?: { uid: number; gid: number };
  /** Its stdout and stderr; appended to. */
  logFile: string;
  /** Resolves when it is up; throws, or rejects, as long as it is not. */
  probe: (child: ChildProcess) => Promise<unknown>;
  readyWithinMs: number;
  /** Ends it in an orderly way. */
  stopSignal: NodeJS.Signals;
  /** How long an orderly end may take. */
  stopWithinMs: number;
  /** Opens a channel for `process.send`. */
  channel?: boolean;
  /** An early end whose log matches is tried again until `readyWithinMs`. */
  tryAgainAfter?: RegExp;
}

/** One server of ours: started, probed, killed, started again. */
export class ServerProcess {
  readonly #options: ServerOptions;
  readonly #owner: ProcessOwner;
  #child: ChildProcess | undefined;
  #expectedEnd = false;
  #up = false;

  constructor(options: ServerOptions, owner: ProcessOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** The id of the living process. */
  get pid(): number | undefined {
    return isRunningChild(this.#child) ? this.#child.pid : undefined;
  }

  /**
   * Starts it and waits until the probe succeeds.
   * @throws PartError with the last lines of its log
   */
  async start(): Promise<void> {
    const deadline = Date.now() + this.#options.readyWithinMs;
    for (;;) {
      const logBefore = logSize(this.#options.logFile);
      const child = this.#spawn();
      const problem = await this.#waitUntilUp(child, deadline);
      if (problem === undefined) {
        this.#up = true;
        return;
      }
      await this.kill();
      const log = logSince(this.#options.logFile, logBefore);
      const again = this.#options.tryAgainAfter?.test(log) === true && Date.now() < deadline;
      if (!again) throw this.#failure(problem, log);
      await delay(200);
    }
  }

  /** Sends a signal, and waits for the end unless the signal only freezes or thaws. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!isRunningChild(child)) return;
    const lasting = signal === 'SIGSTOP' || signal === 'SIGCONT';
    if (!lasting) this.#expectedEnd = true;
    const exited = once(child, 'exit');
    child.kill(signal);
    if (!lasting) await exited;
  }

  /** Ends it in an orderly way, by force when that takes too long. */
  async stop(): Promise<void> {
    const force = setTimeout(() => this.#child?.kill('SIGKILL'), this.#options.stopWithinMs);
    try {
      await this.kill(this.#options.stopSignal);
    } finally {
      clearTimeout(force);
    }
  }

  /** Ends it by force if it lives, and starts it again. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  #spawn(): ChildProcess {
    const { name, command, user, logFile, stopSignal } = this.#options;
    mkdirSync(path.dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(command, [...this.#options.arguments], {
      env: this.#options.environment,
      stdio: this.#options.channel ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
      // A group of its own, so that Ctrl-C on our terminal reaches us alone and we end the parts in order.
      detached: true,
      ...(this.#options.workingDirectory === undefined ? {} : { cwd: this.#options.workingDirectory }),
      ...user,
    });
    closeSync(log);
    this.#child = child;
    this.#expectedEnd = false;
    this.#up = false;
    const identity = child.pid === undefined ? undefined : identityOf(child.pid);
    if (identity !== undefined) {
      this.#owner.started(name, identity, stopSignal);
      // An end before it was up is the failure that start() throws.
      child.once('exit', () => this.#owner.ended(name, identity, this.#expectedEnd || !this.#up));
    }
    return child;
  }

  /** Undefined when it is up, else what went wrong. */
  async #waitUntilUp(child: ChildProcess, deadline: number): Promise<string | undefined> {
    let problem: string | undefined;
    child.once('error', (error) => (problem = `cannot be started: ${error.message}`));
    child.once('exit', (code, signal) => (problem ??= `ended at once (${signal ?? `exit code ${code}`})`));
    let lastAnswer = 'no answer';
    while (Date.now() < deadline) {
      // Whoever answers while our process is gone is somebody else's server on the same port.
      if (problem !== undefined) return problem;
      try {
        await this.#options.probe(child);
        if (problem === undefined) return undefined;
      } catch (error) {
        lastAnswer = error instanceof Error ? error.message : String(error);
      }
      await delay(50);
    }
    return problem ?? `was not up after ${this.#options.readyWithinMs / 1000} s (${lastAnswer})`;
  }

  #failure(problem: string, log: string): PartError {
    const lastLines = log.trim().split('\n').slice(-8).join('\n    ');
    return new PartError({
      what: `${this.#options.name} ${problem}${lastLines === '' ? '' : `; its last words:\n    ${lastLines}\n`}`,
      where: this.#options.command,
      todo: `Read ${this.#options.logFile}.`,
    });
  }
}

function isRunningChild(child: ChildProcess | undefined): child is ChildProcess & { pid: number } {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function logSize(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

function logSince(file: string, offset: number): string {
  return logSize(file) === 0 ? '' : readFileSync(file).subarray(offset).toString('utf8');
}
