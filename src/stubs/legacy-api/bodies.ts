import { createDocumentSource, PIECE_BYTES } from './documents.ts';
import { listTicketKeys, readSentences } from './directory.ts';
import type { SizeChoice } from './settings.ts';

/** A document's JSON, its length known beforehand. */
export interface Body {
  contentLength: number;
  pieces: Iterable<Buffer>;
}

/** Where documents come from; undefined for a ticket key that there is no document of. */
export type Bodies = (ticketKey: string, bytes?: number) => Promise<Body | undefined>;

/** Documents made up from a seed: every ticket key has one. */
export function generatedBodies(seed: string, sizes: readonly SizeChoice[]): Bodies {
  const source = createDocumentSource(seed, sizes);
  return async (ticketKey, bytes) => {
    const plan = source.plan(ticketKey, bytes);
    return { contentLength: plan.contentLength, pieces: source.pieces(plan) };
  };
}

/**
 * The text files below a directory, listed once.
 * @throws Error when the directory cannot be read or holds no text file
 */
export async function directoryBodies(directory: string): Promise<Bodies> {
  // Only a listed key is ever opened: no `..` in a request leads out of the directory.
  const keys = new Set(await listTicketKeys(directory));
  return async (ticketKey) => {
    if (!keys.has(ticketKey)) return undefined;
    const sentences = await readSentences(directory, ticketKey);
    return bodyOf(Buffer.from(JSON.stringify({ ticketKey, sentences })));
  };
}

/** A body that is in memory already. */
export function bodyOf(bytes: Buffer): Body {
  return { contentLength: bytes.length, pieces: slices(bytes) };
}

function* slices(bytes: Buffer): Generator<Buffer, void, undefined> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) yield bytes.subarray(from, from + PIECE_BYTES);
}

/** The first half of a body: what a connection that breaks, or an answer that is cut, gets across. */
export function* firstHalf(body: Body): Generator<Buffer, void, undefined> {
  let left = Math.floor(body.contentLength / 2);
  for (const piece of body.pieces) {
    const part = piece.subarray(0, left);
    left -= part.length;
    if (part.length > 0) yield part;
    if (left === 0) return;
  }
}
