/**
 * A text as PostgreSQL can keep it, also inside of `jsonb`: it has no zero byte, for which a visible sign is put, and no
 * half of a surrogate pair, which is left by whoever cuts a text in the middle of a character.
 */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\u2400').toWellFormed();
}

/** A value as JSON that `jsonb` takes. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => {
    if (typeof one === 'string') return storableText(one);
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).map(([name, part]) => [storableText(name), part]));
  });
}
