import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/** How a digest begins, by which it is found among the texts of a cursor. */
export const digestMark = 'sha256:';

/** Read at a time, in bytes. */
const blockSize = 1024 * 1024;

/** Files whose digests are remembered. */
const mostRemembered = 100;

/** What is known of a file's first bytes, and how the file looked then. */
interface Known {
  readonly size: bigint;
  readonly times: string;
  readonly digest: Promise<string>;
}

const known = new Map<string, Known>();

/**
 * The digest of the first bytes of a file. A process reads them once, and again when the file was written to or is another
 * one. One that has only become longer counts as appended to: whoever follows it looks at its ends.
 *
 * @param size in bytes.
 * @throws the signal's reason.
 */
export async function digestOf(handle: FileHandle, size: number, signal?: AbortSignal): Promise<string> {
  const look = await handle.stat({ bigint: true });
  const key = `${look.dev} ${look.ino} ${size}`;
  const times = `${look.mtimeNs} ${look.ctimeNs}`;
  const before = known.get(key);
  if (before && (look.size > before.size || (look.size === before.size && times === before.times))) {
    // Whoever reads it may be given up.
    const digest = await before.digest.catch(() => undefined);
    if (digest !== undefined) return digest;
  }
  const digest = read(handle, size, signal);
  remember(key, { size: look.size, times, digest });
  return digest;
}

function remember(key: string, found: Known): void {
  known.delete(key);
  known.set(key, found);
  const [oldest] = known.keys();
  if (known.size > mostRemembered && oldest !== undefined) known.delete(oldest);
}

async function read(handle: FileHandle, size: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(Math.min(blockSize, size));
  for (let offset = 0; offset < size;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(block, 0, Math.min(blockSize, size - offset), offset);
    if (bytesRead === 0) break;
    hash.update(block.subarray(0, bytesRead));
    offset += bytesRead;
  }
  return `${digestMark}${hash.digest('hex').slice(0, 32)}`;
}
