import { createHash } from 'node:crypto';

/**
 * What the slot and the publication of a stream are called in the source: by the stream, and by the ledger that has it, so
 * that two of them never read one slot. PostgreSQL takes 63 letters, digits and underscores.
 */
export function nameInSource(stream: string, ledger: string): string {
  const readable = stream
    .replace(/^tableSync:/u, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/gu, '_')
    .slice(0, 36)
    .replaceAll(/^_|_$/gu, '');
  const mark = createHash('sha256').update(`${ledger} ${stream}`).digest('hex').slice(0, 12);
  return `keystride_${readable}_${mark}`;
}
