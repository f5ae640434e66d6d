declare const cursorBrand: unique symbol;

/**
 * A place in a key order: the key's columns as the database renders them (`col::text`), in order. It is passed
 * back as `$1::type` and compared in the database alone: a JavaScript Date loses microseconds, a Number loses
 * big ids, and JavaScript sorts text in another order than a collation does.
 */
export type Cursor = readonly string[] & { readonly [cursorBrand]: true };

/** Marks texts that a database rendered as a cursor. */
export function cursorOf(texts: readonly string[]): Cursor {
  return texts as Cursor;
}

/**
 * What names a key to people, and to `--key`: its columns with commas between them. A comma or a backslash in one of
 * several columns has a backslash before it, so that no two keys of a table are called the same.
 */
export function nameOfKey(key: readonly string[]): string {
  const [only, ...others] = key;
  if (only !== undefined && others.length === 0) return only;
  return key.map((text) => text.replaceAll(/[\\,]/gu, '\\$&')).join(',');
}

/** Whether both are one place; nothing is at none. It is asked for each item: the last text is the likeliest to differ. */
export function sameCursor(a: Cursor | null, b: Cursor | null): boolean {
  if (a === null || b === null || a.length !== b.length) return false;
  for (let index = a.length - 1; index >= 0; index--) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether something is what a cursor may be: a list of texts, of one at least. */
export function isCursor(value: unknown): value is Cursor {
  if (!Array.isArray(value) || value.length === 0) return false;
  for (const text of value) if (typeof text !== 'string') return false;
  return true;
}

/** A cursor as the ledger stores it. */
export function encodeCursor(cursor: Cursor | null): string | null {
  return cursor === null ? null : JSON.stringify(cursor);
}

/** A cursor as the ledger stored it. */
export function decodeCursor(text: string | null): Cursor | null {
  return text === null ? null : cursorOf(JSON.parse(text) as string[]);
}

/** The keys above `lower` up to and including `upper`; null is open. */
export interface KeyRange {
  readonly lower: Cursor | null;
  readonly upper: Cursor | null;
}
