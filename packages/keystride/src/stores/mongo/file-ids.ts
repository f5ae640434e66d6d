import { randomBytes } from 'node:crypto';
import type { WriteToken } from '../../contract/write-attempt.ts';

const ours = /^(?<document>.*)\/\d+\.(?<fence>\d+)\.[0-9a-f]{8}$/su;

/**
 * The id of a file that one attempt writes for a document: no other attempt, and no other upload of this one, has it.
 * A file is therefore never written over, and removing one by its id removes nobody else's.
 */
export function fileIdFor(document: string, { epoch, fence }: WriteToken): string {
  return `${document}/${epoch}.${fence}.${randomBytes(4).toString('hex')}`;
}

/** The key of the document that a file was written for. Release 0.1.0 gave the file the id of its document. */
export function documentOfFile(id: string): string {
  return ours.exec(id)?.groups?.['document'] ?? id;
}

/** The fence of the attempt that wrote a file; 0 for one that none of ours has written. */
export function fenceOfFile(id: string): number {
  return Number(ours.exec(id)?.groups?.['fence'] ?? 0);
}
