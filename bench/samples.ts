import { readdirSync, readFileSync } from 'node:fs';

/** What a process has at a moment. */
export interface Sample {
  /** Epoch time, in milliseconds. */
  readonly at: number;
  /** Resident memory, in MB (2^20 bytes). */
  readonly megabytes: number;
  /** Open files, connections included. */
  readonly files: number;
}

/** A process, looked at every second until `end`. It needs a machine that has /proc. */
export class Samples {
  readonly all: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #pid: number;

  /** @param tell is given a sample a minute. */
  constructor(pid: number, tell: (sample: Sample) => void) {
    this.#pid = pid;
    this.#timer = setInterval(() => {
      const sample = this.#take();
      if (this.all.length % 60 === 0) tell(sample);
    }, 1_000);
  }

  /** Those from a moment on, by `performance.now()`. */
  after(moment: number): Sample[] {
    const from = Date.now() - (performance.now() - moment);
    return this.all.filter(({ at }) => at >= from);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #take(): Sample {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8')) ?? [];
    const files = readdirSync(`/proc/${this.#pid}/fd`).length;
    const sample = { at: Date.now(), megabytes: Number(kilobytes) / 1024, files };
    this.all.push(sample);
    return sample;
  }
}

/** How something has grown, by the straight line that fits the samples best: over their time, and in an hour. */
export function growthOf(
  samples: readonly Sample[],
  of: 'megabytes' | 'files',
): { readonly whole: number; readonly perHour: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const at = mean(samples.map((sample) => sample.at));
  const level = mean(samples.map((sample) => sample[of]));
  const together = samples.reduce((sum, one) => sum + (one.at - at) * (one[of] - level), 0);
  const slope = together / samples.reduce((sum, one) => sum + (one.at - at) ** 2, 0);
  const span = (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0);
  return { whole: slope * span, perHour: slope * 3_600_000 };
}
