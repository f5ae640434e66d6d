/**
 * One line of CSV as RFC 4180 wants it, ended by CRLF, safe to open in a spreadsheet.
 *
 * A cell that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises; a plain number does
 * not, negative or not. Control characters that a terminal would obey become blanks.
 */
export function csvLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map((value) => cell(value)).join(',')}\r\n`;
}

/** What makes a formula, also behind blanks, and in the wide forms that some spreadsheets take as well. */
const formula = /^[\s"']*[=+\-@\t\r\n＝＋－＠|%]/u;

const number = /^[+-]?\d+(\.\d+)?$/;

function cell(value: string | number | null): string {
  if (value === null) return '';
  const text = String(value).replaceAll(/[^\P{Cc}\t\r\n]|[\u202a-\u202e\u2066-\u2069]/gu, ' ');
  const safe = formula.test(text) && !number.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
