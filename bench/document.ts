import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { keys } from './keys.ts';
import { tables, type Table } from './report.ts';
import type { Results } from './request.ts';

/** The page that holds the figures. */
export const page = path.join(import.meta.dirname, '../docs/performance.md');

/** What stands between them is written here, and by nobody else. */
export const markers = {
  begin: '<!-- figures: npm run bench -- --write-docs -->',
  end: '<!-- end of figures -->',
} as const;

/**
 * Puts the figures into the page, each row with the day it comes from. Rows that were not measured now stay as they are.
 * @throws Error when the page has lost its markers
 */
export async function writeDocument(results: Results, machine: string): Promise<void> {
  const { before, figures, after } = partsOf(await readFile(page, 'utf8'));
  const text = [before, markers.begin, ...sections(figures, results, machine), markers.end + after].join(
    '\n\n',
  );
  const style = (await resolveConfig(page)) ?? {};
  await writeFile(page, await format(text, { ...style, parser: 'markdown' }));
}

/** The page before, between and behind its markers. @throws Error when it has lost them */
function partsOf(text: string) {
  const [before, rest] = text.split(markers.begin);
  const [figures, after] = rest?.split(markers.end) ?? [];
  if (before === undefined || figures === undefined || after === undefined)
    throw new Error(`${page} must hold the lines ${markers.begin} and ${markers.end}.`);
  return { before: before.trimEnd(), figures, after };
}

function sections(figures: string, results: Results, machine: string): string[] {
  const day = new Date().toISOString().slice(0, 10);
  const bodies = Object.entries(tables).flatMap(([title, tableOf]) => {
    const fresh = tableOf(results);
    const [oldHeader = [], , ...old] = linesUnder(figures, title);
    const rows = mergedRows(
      old,
      (fresh?.rows ?? []).map((row) => [...row, day]),
    );
    const header = fresh ? [...fresh.header, 'measured'] : oldHeader;
    if (rows.length === 0) return [];
    return [...(title === '' ? [] : [`### ${title}`]), markdown({ header, rows })];
  });
  return [`The last of them were measured on ${machine}.`, ...bodies];
}

/** The rows of the page with those of now in their place, known by their first cell; measurements in their order. */
function mergedRows(
  old: readonly (readonly string[])[],
  fresh: readonly (readonly string[])[],
): (readonly string[])[] {
  const byName = new Map([...old, ...fresh].map((row) => [row[0], row]));
  const place = ([name]: readonly string[]) => (keys as readonly (string | undefined)[]).indexOf(name);
  return [...byName.values()].toSorted((a, b) => place(a) - place(b));
}

/** The cells of a table's lines, header and rule first; what stands before any heading has none. */
function linesUnder(figures: string, title: string): string[][] {
  const section = figures
    .split(/^### /mu)
    .find((text, index) => (index === 0 ? title === '' : text.startsWith(`${title}\n`)));
  const lines = (section ?? '').split('\n').filter((line) => line.startsWith('|'));
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function markdown({ header, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
