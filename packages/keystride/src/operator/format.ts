import { grouped } from '../contract/grouped.ts';
import { oneLine } from '../contract/inert.ts';

/** A whole number: `1,234,567`. */
export function count(value: number): string {
  return grouped(Math.round(value));
}

/** A number that was counted so far and no further: `over 100,000`. */
export function countUpTo(value: number, most: number): string {
  return value > most ? `over ${count(most)}` : count(value);
}

/** A span as a person says it: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(seconds / 3600);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** How long a run has taken, until now where it goes on; in milliseconds. */
export function tookOf(run: { readonly startedAt: string; readonly finishedAt: string | null }): number {
  const until = run.finishedAt === null ? Date.now() : Date.parse(run.finishedAt);
  return Math.max(0, until - Date.parse(run.startedAt));
}

/** An ISO time to the second, with its zone: `2025-10-01T02:00:00Z`. */
export function time(iso: string): string {
  return iso.replace(/\.\d+Z$/u, 'Z');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `236/s`; one decimal below ten. */
export function rate(perSecond: number): string {
  return `${perSecond < 9.95 ? Number(perSecond.toFixed(1)) : count(Math.round(perSecond))}/s`;
}

/** Columns of equal width, two spaces apart; the last one is as long as it is. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines.map((line) =>
    line
      .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Text of unknown origin on one line, without what a terminal would obey. */
export function plain(text: string, longest = 200): string {
  const clean = oneLine(text);
  // Half of a character at the cut is none.
  return clean.length <= longest ? clean : `${clean.slice(0, longest - 1).replace(/[\uD800-\uDBFF]$/u, '')}…`;
}

/** A value as JSON whose every character may be shown: what a terminal would obey is written as an escape. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, unit) => {
      const code = character.charCodeAt(unit).toString(16);
      return `\\u${code.padStart(4, '0')}`;
    }).join(''),
  );
}

/** The columns of a key, as the database renders them; an open end is none. */
export function endText(cursor: string | null, longest = 16): string {
  if (cursor === null) return '';
  const columns: unknown = JSON.parse(cursor);
  return plain(Array.isArray(columns) ? columns.join(', ') : cursor, longest);
}
