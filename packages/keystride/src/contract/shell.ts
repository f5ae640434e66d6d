/** What people call, wherever a message of a worker reaches them: npx finds it in a project as well as where it is global. */
export const keystride = 'npx keystride';

/**
 * An argument as bash takes it, on one line whatever is in it: quoted where it must be, and what a terminal would obey or
 * not show is written as escapes.
 */
export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/u.test(text)) return text;
  if (!unseen.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = text
    .toWellFormed()
    .replaceAll(/[\\']/gu, '\\$&')
    // An interactive bash may look for history in here.
    .replaceAll('!', '\\x21')
    .replaceAll(allUnseen, (character) => encodeURIComponent(character).replaceAll('%', '\\x'));
  return `$'${escaped}'`;
}

/** Control and format characters, marks of direction among them; separators of lines; what is no character. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const allUnseen = new RegExp(unseen, 'gu');
