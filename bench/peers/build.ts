import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheOf } from '../../packages/keystride/src/settings/places.ts';
import { NoPeer } from './peer-of.ts';

const execute = promisify(execFile);

/** How a peer is made from its folder beside this file. */
export interface PeerProgram {
  /** The folder's name. */
  readonly folder: string;
  /** Builds it, in a copy of the folder: the program and its arguments. */
  readonly build: readonly [program: string, ...rest: string[]];
  /** Programs that it needs besides. */
  readonly needs: readonly string[];
}

const builds = new Map<string, Promise<string>>();

/**
 * Builds a peer in the cache, once for each state of its sources.
 * @returns where it is
 * @throws NoPeer when a program that it needs is not there, or it does not build
 */
export function builtPeer(program: PeerProgram, note: (text: string) => void): Promise<string> {
  const begun = builds.get(program.folder) ?? build(program, note);
  builds.set(program.folder, begun);
  return begun;
}

async function build(
  { folder, build: [command, ...rest], needs }: PeerProgram,
  note: (text: string) => void,
): Promise<string> {
  const sources = path.join(import.meta.dirname, folder);
  const place = path.join(cacheOf(process.env), 'peers', `${folder}-${hashOf(sources)}`);
  const missing = [...needs, 'java', 'mvn'].filter((name) => !isOnPath(name));
  if (missing.length > 0) throw new NoPeer(`${folder} needs ${missing.join(', ')} on PATH`);
  if (existsSync(place)) return place;
  note(`  building ${folder} with Maven (once)`);
  const unfinished = `${place}.${process.pid}`;
  cpSync(sources, unfinished, { recursive: true });
  try {
    await execute(command, rest, { cwd: unfinished, timeout: 600_000, maxBuffer: 2 ** 26 });
    renameSync(unfinished, place);
    return place;
  } catch (error) {
    throw new NoPeer(`${folder} does not build: ${lastLineOf(error)}`);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function hashOf(directory: string): string {
  const hash = createHash('sha256');
  const files = globSync('**/*', { cwd: directory }).filter((file) =>
    statSync(path.join(directory, file)).isFile(),
  );
  for (const file of files.toSorted()) hash.update(file).update(readFileSync(path.join(directory, file)));
  return hash.digest('hex').slice(0, 12);
}

function isOnPath(name: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter);
  return directories.some((directory) => existsSync(path.join(directory, name)));
}

function lastLineOf(error: unknown): string {
  const text = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  const fault = text.split('\n').find((line) => line.includes('ERROR'));
  return fault ?? (error instanceof Error ? error.message : String(error));
}
