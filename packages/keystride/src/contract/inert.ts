/**
 * Text of unknown origin (keys, reasons, names, messages) that neither a terminal nor Markdown obeys. Control characters,
 * marks that turn the direction of writing, and separators of lines become blanks.
 */

/** Without what a terminal would obey, line ends included. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
}

/** As Markdown shows it letter by letter: no emphasis, link, image, HTML or address of it comes to life. */
export function inMarkdown(text: string): string {
  return oneLine(text)
    .replaceAll(/[\\`*_[\]()<>|#&~!@]/gu, String.raw`\$&`)
    .replaceAll('://', String.raw`\://`)
    .replaceAll(/www\./giu, (found) => found.replace('.', String.raw`\.`));
}

/** As a piece of code in Markdown, whatever backticks it holds. */
export function codeSpan(text: string): string {
  const shown = oneLine(text);
  const longest = Math.max(0, ...[...shown.matchAll(/`+/gu)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = /^`|`$/u.test(shown) || shown === '' ? ' ' : '';
  return `${fence}${pad}${shown}${pad}${fence}`;
}
