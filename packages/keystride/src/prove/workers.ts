import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerProcess } from '../dev/workers.ts';
import { faultFile, passesFile } from '../page/fault-points.ts';

/** A fault that freezes a worker until others have gone on without it. */
export interface Freeze {
  readonly id: number;
  /** Chunks that are to commit, once its page can be another's, before it wakes up. */
  readonly wakeAfterCommits: number;
}

/** When a page is surely given to another: the heartbeat time-out is eight seconds, the retry waits for one more. */
const pageLostMs = 10_000;

/** When a frozen worker wakes up though nobody has gone on, in milliseconds. */
export const longestFreezeMs = 25_000;

/** How long a ghost has for what it was about to do, in milliseconds. */
const hauntingMs = 1_500;

/** The workers of one run: started again when they die, woken when they were frozen. */
export class TendedWorkers {
  readonly #workers: readonly WorkerProcess[];
  readonly #directory: string;
  #frozen: readonly Freeze[];
  readonly #starting = new Set<WorkerProcess>();
  readonly #wakes: Promise<void>[] = [];
  #ended = false;

  constructor(workers: readonly WorkerProcess[], directory: string, freezes: readonly Freeze[]) {
    this.#workers = workers;
    this.#directory = directory;
    this.#frozen = freezes;
  }

  /** Does what is due; to be called again and again. */
  tend(): void {
    for (const worker of this.#workers) if (worker.pid === undefined) this.#startAgain(worker);
    this.#wakeFrozen();
  }

  /** Wakes every worker that is still frozen and lets it do what harm it can: what a ghost does belongs to a run. */
  async haunt(): Promise<void> {
    this.#ended = true;
    this.#wakeFrozen();
    await Promise.all(this.#wakes);
    if (this.#wakes.length > 0) await delay(hauntingMs);
  }

  /** Ends all of them at once. */
  async kill(): Promise<void> {
    while (this.#starting.size > 0) await delay(50);
    await Promise.all(this.#workers.map((worker) => worker.kill()));
  }

  #wakeFrozen(): void {
    for (const freeze of this.#frozen) {
      const pid = victimOf(this.#directory, freeze.id);
      if (pid === undefined) continue;
      this.#frozen = this.#frozen.filter((other) => other !== freeze);
      this.#wakes.push(this.#wakeLater(pid, freeze.wakeAfterCommits));
    }
  }

  #startAgain(worker: WorkerProcess): void {
    if (this.#starting.has(worker)) return;
    this.#starting.add(worker);
    // A start that fails, because its server is being restarted, is tried again with the next look.
    void worker
      .restart()
      .catch(() => undefined)
      .finally(() => this.#starting.delete(worker));
  }

  async #wakeLater(pid: number, commits: number): Promise<void> {
    const frozenAt = performance.now();
    const frozenFor = () => performance.now() - frozenAt;
    while (!this.#ended && frozenFor() < pageLostMs) await delay(50);
    const enough = this.#commits() + commits;
    while (!this.#ended && frozenFor() < longestFreezeMs && this.#commits() < enough) await delay(5);
    // It may be gone: the run was given up.
    await this.#workers.find((worker) => worker.pid === pid)?.kill('SIGCONT');
  }

  #commits(): number {
    const file = passesFile(this.#directory, 'afterCommit');
    return existsSync(file) ? statSync(file).size : 0;
  }
}

/** The process that a fault has happened to, once it has. */
export function victimOf(directory: string, id: number): number | undefined {
  const file = faultFile(directory, id);
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  return pid > 0 ? pid : undefined;
}
