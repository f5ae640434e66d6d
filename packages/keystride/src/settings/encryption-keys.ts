import { readFileSync } from 'node:fs';
import { ToldError } from '../contract/told-error.ts';
import { codeOf } from '../stores/causes.ts';

/** Keys by their ids. The first one encrypts, all of them decrypt. */
export type EncryptionKeys = ReadonlyMap<string, Buffer>;

/** The keys of a list. */
export interface ParsedKeys {
  readonly keys: EncryptionKeys;
  /** What sensitive parameters are hashed with, which is never replaced: the names of instances are made with it. */
  readonly hashKey?: Buffer;
}

/** Where the keys stand: in a variable, or in a file that is read again when a key is asked for that is not known. */
export interface EncryptionSettings extends ParsedKeys {
  readonly file?: string;
}

/** The id of the key that does not encrypt, but hashes. */
const hashId = 'hash';

const keyBytes = 32;

/**
 * `2026-11=BASE64,2026-05=BASE64,hash=BASE64`, parted by commas or ends of lines.
 * @returns the keys; or what is wrong, which names no key
 */
export function parseEncryptionKeys(text: string): ParsedKeys | string {
  const keys = new Map<string, Buffer>();
  for (const entry of text.split(/[,\s]+/u).filter(Boolean)) {
    const [, id = '', encoded = ''] = /^([\w.-]{1,64})=([A-Za-z0-9+/]{43}=)$/u.exec(entry) ?? [];
    const key = Buffer.from(encoded, 'base64');
    if (key.length !== keyBytes)
      return `has an entry that is not like 2026-11=KEY, with a key of 32 bytes in base64 (openssl rand -base64 32)`;
    if (keys.has(id)) return `has the id ${id} twice`;
    keys.set(id, key);
  }
  const hashKey = keys.get(hashId);
  keys.delete(hashId);
  if (keys.size === 0) return 'holds no key that encrypts';
  return { keys, ...(hashKey && { hashKey }) };
}

/**
 * Reads the keys of a file.
 * @throws ToldError when it cannot be read, or holds none
 */
export function readEncryptionKeys(file: string): ParsedKeys {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = codeOf(error) || 'unknown';
    throw new ToldError(`cannot be read (${code})`);
  }
  const keys = parseEncryptionKeys(text);
  if (typeof keys === 'string') throw new ToldError(keys);
  return keys;
}
