import { createHash } from 'node:crypto';
import { storableText } from '../stores/postgres/storable-text.ts';

/** In bytes. With an instance and a step it fits an entry of an index, which has 2,704. */
const longest = 800;

/**
 * The name of an item as the ledger keeps it: a key that no index takes has its beginning, and a hash that tells it from
 * any other. It is found again by its cursor, which is kept whole.
 */
export function itemKeyOf(key: string): string {
  const text = storableText(key);
  if (Buffer.byteLength(text) <= longest) return text;
  return `${text.slice(0, 200).toWellFormed()}…${createHash('sha256').update(text).digest('hex')}`;
}
