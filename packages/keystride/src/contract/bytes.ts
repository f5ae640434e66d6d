/** What a value takes beside what is in it, in bytes, about. */
const bytesPerValue = 16;

/** Items of a page that take less together need not be counted by anybody. */
export const small = 4 * 1024 * 1024;

/** How deep is looked: what lies deeper is small, or nobody can tell. */
const deepest = 12;

/** Bytes that an item takes in memory, about: its texts and binaries, and a little for each value. */
export function bytesOf(item: unknown): number {
  return sized(item, 0);
}

function sized(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + bytesPerValue;
  if (typeof value !== 'object' || value === null || depth > deepest) return bytesPerValue;
  if (ArrayBuffer.isView(value)) return value.byteLength + bytesPerValue;
  let bytes = bytesPerValue;
  for (const part of Array.isArray(value) ? value : Object.values(value)) bytes += sized(part, depth + 1);
  return bytes;
}
