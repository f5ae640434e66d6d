/** A 32-bit hash of a text (FNV-1a, mixed with Murmur's finaliser): fast and the same on every machine. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A number in [0, 1) that depends on nothing but the parts: the stub's replacement for chance. */
export function fraction(...parts: readonly (string | number)[]): number {
  return hash32(parts.join('\u0000')) / 2 ** 32;
}
