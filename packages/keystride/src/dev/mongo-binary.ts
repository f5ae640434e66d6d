import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { mongod, placeInCache } from '../settings/fetched-programs.ts';
import { cachedBinary } from './fetch-binary.ts';
import { findExecutable, goDirectories, goEnvironment, run } from './executables.ts';
import { fromArchive } from './fetch-program.ts';
import { packageRoot } from './own-files.ts';
import { PartError } from './part.ts';

/** A program that speaks MongoDB's protocol: the real one, or FerretDB over PostgreSQL. */
export interface MongoBinary {
  engine: 'mongod' | 'ferretdb';
  path: string;
  origin: string;
}

const ferretdbVersion = '1.24.2';

/**
 * Finds, fetches or builds a MongoDB: `mongod` on PATH, what the cache has, a download, and last FerretDB built with
 * Go. A machine that had to build FerretDB does not try the download again as long as the cache lives.
 * @param keptBy the engine whose data the home holds already: data of one cannot be read by the other
 * @throws PartError that names every way and why it failed
 */
export async function mongoBinary(
  cache: string,
  keptBy: MongoBinary['engine'] | undefined,
  onStep: (text: string) => void,
): Promise<MongoBinary> {
  mkdirSync(cache, { recursive: true });
  const reasons: string[] = [];
  const ways = [mongodOnPath, cachedMongod, cachedFerretdb, downloadedMongod, builtFerretdb];
  for (const way of ways.filter(({ engine }) => keptBy === undefined || engine === keptBy)) {
    try {
      const file = await way.find(cache, onStep);
      if (file !== undefined) return { engine: way.engine, path: file, origin: way.origin };
    } catch (error) {
      reasons.push(`${way.origin}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new PartError({
    what: `no MongoDB can be had: ${reasons.join('; ') || 'there is none'}`,
    where: cache,
    todo: 'Install mongod or Go, or set MONGODB_URL to a server that runs.',
  });
}

interface Way {
  engine: MongoBinary['engine'];
  origin: string;
  find: (cache: string, onStep: (text: string) => void) => Promise<string | undefined>;
}

const mongodOnPath: Way = {
  engine: 'mongod',
  origin: 'mongod on PATH',
  find: async () => findExecutable('mongod'),
};

const cachedMongod: Way = {
  engine: 'mongod',
  origin: 'mongod, fetched',
  find: async (cache) => existing(placeInCache(cache, mongod)),
};

const cachedFerretdb: Way = {
  engine: 'ferretdb',
  origin: `FerretDB ${ferretdbVersion}`,
  find: async (cache) => existing(ferretdbFile(cache)),
};

const downloadedMongod: Way = {
  engine: 'mongod',
  origin: 'mongod, fetched',
  find: (cache, onStep) => cachedBinary(placeInCache(cache, mongod), [fromArchive(mongod, '100 MB')], onStep),
};

const builtFerretdb: Way = {
  engine: 'ferretdb',
  origin: `FerretDB ${ferretdbVersion}`,
  find: (cache, onStep) =>
    cachedBinary(
      ferretdbFile(cache),
      [
        {
          what: 'building FerretDB, since no mongod can be had (about a minute, once)',
          get: async (directory) => {
            const go = findExecutable('go', goDirectories());
            if (go === undefined) throw new Error('there is no Go');
            const file = path.join(directory, 'ferretdb');
            // go.sum has the hash of every module, and is not written here.
            await run(go, ['build', '-mod=readonly', '-trimpath', '-buildvcs=false', '-o', file, '.'], {
              timeoutMs: 900_000,
              workingDirectory: path.join(packageRoot, 'tools', 'ferretdb'),
              environment: goEnvironment(cache),
            });
            return file;
          },
        },
      ],
      onStep,
    ),
};

function existing(file: string): string | undefined {
  return existsSync(file) ? file : undefined;
}

/** Named by how it is built, too: what a cache holds may be of an earlier release of ours. */
function ferretdbFile(cache: string): string {
  return path.join(cache, `ferretdb-${ferretdbVersion}-tls`);
}
