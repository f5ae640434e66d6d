import { spawn, type ChildProcess } from 'node:child_process';
import type { ProcessIdentity } from './processes.ts';
import { ourModule } from './own-files.ts';
import type { ProcessOwner } from './server-process.ts';

/** What the watchdog reads, one JSON value a line. */
export type GuardMessage =
  | { watch: ProcessIdentity; signal: NodeJS.Signals }
  | { release: ProcessIdentity }
  | { removeAtTheEnd: string };

/**
 * Ends what we started when we die without a chance to do it, by SIGKILL or a crash.
 *
 * A process of its own reads our messages from a pipe. The kernel closes the pipe when we die, however we die; what is
 * still watched then is ended. An owner that ends in an orderly way releases all first.
 */
export class Guard {
  readonly #watchdog: ChildProcess;

  constructor() {
    this.#watchdog = spawn(process.execPath, [ourModule('dev/watchdog')], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // A watchdog that cannot be had costs us the clean-up after our own crash, nothing else.
    this.#watchdog.on('error', () => {});
    this.#watchdog.stdin?.on('error', () => {});
    this.#watchdog.unref();
  }

  /** From now on the process does not outlive us. */
  watch(identity: ProcessIdentity, signal: NodeJS.Signals): void {
    this.#send({ watch: identity, signal });
  }

  /** The process is gone, or may outlive us. */
  release(identity: ProcessIdentity): void {
    this.#send({ release: identity });
  }

  /** Watches whatever a part starts, for as long as it runs. */
  get owner(): ProcessOwner {
    return {
      started: (_name, identity, signal) => this.watch(identity, signal),
      ended: (_name, identity) => this.release(identity),
    };
  }

  /** A temporary directory that goes when all is over. */
  removeAtTheEnd(directory: string): void {
    this.#send({ removeAtTheEnd: directory });
  }

  /** Lets the watchdog do what is left to do, and end. */
  close(): void {
    this.#watchdog.stdin?.end();
  }

  #send(message: GuardMessage): void {
    this.#watchdog.stdin?.write(`${JSON.stringify(message)}\n`);
  }
}
