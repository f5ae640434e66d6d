/** What an error is about: the items, and what names them to people. */
export interface Subject {
  readonly items: readonly unknown[];
  readonly key: string;
}

/** Shorter texts stand in too many words to be anything of an item. */
const shortest = 4;

/** Texts of items that are looked for. */
const most = 5000;

/** Levels of an item that are looked into. */
const deepest = 6;

/**
 * A message of a job's own code without what it quotes of its items: their texts and numbers give way to a sign, but for
 * the key. A text that was changed or cut before it was quoted is not recognised: that is for the author to see to.
 */
export function withoutContent(message: string, { items, key }: Subject): string {
  const texts = new Set<string>();
  collect(items, texts, 0);
  texts.delete(key);
  let shown = message;
  // The longest first, of which another may be a part.
  for (const text of [...texts].toSorted((one, other) => other.length - one.length))
    if (shown.includes(text)) shown = shown.replaceAll(text, '…');
  return shown;
}

function collect(value: unknown, texts: Set<string>, depth: number): void {
  if (texts.size >= most || depth > deepest) return;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') {
    const text = String(value);
    if (text.length < shortest) return;
    texts.add(text);
    texts.add(JSON.stringify(text).slice(1, -1));
  } else if (value instanceof Date) {
    if (!Number.isNaN(value.getTime())) texts.add(value.toISOString());
  } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const entry of Object.values(value)) collect(entry, texts, depth + 1);
  }
}
