import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { constants, type FileHandle, open, realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { ToldError } from '../../contract/errors.ts';
import { oneLine } from '../../contract/inert.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { codeOf } from '../causes.ts';
import { digestMark, digestOf } from './file-digest.ts';

/** A file that is not the one that was planned, or cannot be read at all. */
export class UnusableFile extends ToldError {
  override readonly name = 'UnusableFile';
}

/** A record that is not what its file's format asks for. Tells where, never what it holds. */
export class MalformedRecord extends ToldError {
  override readonly name = 'MalformedRecord';
}

/** Where a file is. */
export interface FilePlace {
  readonly path: string;
  /** The file must be in it, also when links are followed; the path is taken from here. @default anywhere */
  readonly directory?: string | undefined;
}

const lineFeed = 10;
const carriageReturn = 13;

/** The ends of a file, so many bytes each, stand for its content. */
const comparedBytes = 4096;

/**
 * A file up to the size that it had when it was planned. What is appended later belongs to another run; a file that has
 * become another one is refused, since its offsets would mean nothing.
 *
 * A place in it is written `[offset, identity, …, digest]`, the identity being the planned size and a hash of the file's ends,
 * which are looked at each time; the digest is of all of it.
 */
export class SourceFile {
  /** As the step names it. */
  readonly path: string;
  /** The bytes that are read. */
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #identity: string;
  readonly #digest: string;

  private constructor(path: string, handle: FileHandle, size: number, identity: string, digest: string) {
    this.path = path;
    this.#handle = handle;
    this.size = size;
    this.#identity = identity;
    this.#digest = digest;
  }

  /**
   * Opens a file, works with it, and closes it.
   *
   * @param place where it is; with a directory, it is looked for there and nowhere else
   * @param planned any place of the plan; null when there is none yet, and the size is what it is now.
   * @throws UnusableFile when it is not there, or is another one than was planned.
   */
  static async with<Result>(
    { path, directory }: FilePlace,
    planned: Cursor | null,
    work: (file: SourceFile) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const handle = await openFile(path, directory);
    try {
      const before = await handle.stat();
      const result = await work(await SourceFile.#of(path, handle, planned, signal));
      refuseChanged(path, before, await handle.stat());
      return result;
    } finally {
      await handle.close();
    }
  }

  static async #of(
    path: string,
    handle: FileHandle,
    planned: Cursor | null,
    signal: AbortSignal | undefined,
  ): Promise<SourceFile> {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new UnusableFile(`${path} is not a file.`);
    const size = planned === null ? stat.size : Number(planned[1]?.split('-')[0]);
    const identity = size <= stat.size ? `${size}-${await hashOfEnds(handle, size)}` : 'shorter';
    if (planned === null || planned[1] === identity) {
      const digest = await digestOf(handle, size, signal);
      const wanted = planned?.findLast((text) => text.startsWith(digestMark));
      // A release before this one has planned without.
      if (wanted === undefined || wanted === digest) {
        if (size > 0 && size < stat.size) await refuseHalfRecord(path, handle, size);
        return new SourceFile(path, handle, size, identity, digest);
      }
    }
    throw new UnusableFile(
      `${path} has changed since this step was opened; put the file back that it began with, or start a new run.`,
    );
  }

  /** The cursor of an offset; further texts may follow. */
  place(offset: number, ...more: readonly string[]): Cursor {
    return cursorOf([String(offset), this.#identity, ...more, this.#digest]);
  }

  /** Whether a line ends before an offset. */
  async lineEndsAt(offset: number): Promise<boolean> {
    return lineEndsAt(this.#handle, offset);
  }

  /** The bytes at an offset, at most so many and no more than the file has. */
  async bytes(offset: number, length: number): Promise<Buffer> {
    return readBytes(this.#handle, offset, Math.min(length, this.size - offset));
  }
}

/**
 * Opens a file. Nothing is waited for: a pipe, or a device, would never end, and is refused when it is looked at.
 *
 * @throws UnusableFile
 */
async function openFile(name: string, directory: string | undefined): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  try {
    if (directory === undefined) return await open(name, flags);
    // What is opened has no link in its path any more, so that none leads out of the directory.
    const inside = await realpath(directory);
    const real = await realpath(resolve(inside, name));
    if (real.startsWith(inside + sep)) return await open(real, flags | constants.O_NOFOLLOW);
  } catch (error) {
    throw new UnusableFile(
      `${oneLine(name)} cannot be opened (${codeOf(error) || 'unknown'}); every worker that may run this step needs it.`,
      { cause: error },
    );
  }
  throw new UnusableFile(`${oneLine(name)} leads out of the directory that the step reads from.`);
}

/** What is appended is another run's; anything else that is written makes what was read of one file and of another. */
function refuseChanged(path: string, before: Stats, after: Stats): void {
  const grown = after.size > before.size;
  if (grown || (after.size === before.size && after.mtimeMs === before.mtimeMs)) return;
  throw new UnusableFile(
    `${path} was written to while it was being read; put a whole file there, and start again.`,
  );
}

/** Of one that was planned without its last line end, and has grown since, what was the last record may go on. */
async function refuseHalfRecord(path: string, handle: FileHandle, size: number): Promise<void> {
  if ((await lineEndsAt(handle, size)) || (await lineEndsAt(handle, size + 1))) return;
  throw new UnusableFile(
    `${path} was still being written when this step was opened, and ended in the midst of a record; start a new run when it is whole.`,
  );
}

async function lineEndsAt(handle: FileHandle, offset: number): Promise<boolean> {
  const [last] = await readBytes(handle, offset - 1, 1);
  return last === lineFeed || last === carriageReturn;
}

async function hashOfEnds(handle: FileHandle, size: number): Promise<string> {
  const hash = createHash('sha256');
  for (const offset of [0, Math.max(0, size - comparedBytes)])
    hash.update(await readBytes(handle, offset, Math.min(comparedBytes, size - offset)));
  return hash.digest('hex').slice(0, 16);
}

async function readBytes(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, length));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
