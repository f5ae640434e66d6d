import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { cpuTable, growthTable, loopTable, mainTable, manyTable, noopTable, type Table } from './report.ts';
import type { Results } from './suite.ts';

/** The page that holds the figures. */
export const page = path.join(import.meta.dirname, '../docs/performance.md');

/** What stands between them is written here, and by nobody else. */
export const markers = {
  begin: '<!-- figures: npm run bench -- --write-docs -->',
  end: '<!-- end of figures -->',
} as const;

/**
 * Puts the figures into the page in the place of those before, with the machine and the day they come from.
 * @throws Error when the page has lost its markers
 */
export async function writeDocument(results: Results, machine: string): Promise<void> {
  const [before, after] = partsAround(await readFile(page, 'utf8'));
  const text = [before, markers.begin, ...sections(results, machine), markers.end + after].join('\n\n');
  const style = (await resolveConfig(page)) ?? {};
  await writeFile(page, await format(text, { ...style, parser: 'markdown' }));
}

/** What the page says before and behind its figures. @throws Error when it has lost its markers */
function partsAround(text: string): [before: string, after: string] {
  const [before, rest] = text.split(markers.begin);
  const [, after] = rest?.split(markers.end) ?? [];
  if (before === undefined || after === undefined)
    throw new Error(`${page} must hold the lines ${markers.begin} and ${markers.end}.`);
  return [before.trimEnd(), after];
}

function sections(results: Results, machine: string): string[] {
  const [loop, noop] = [loopTable(results), noopTable(results)];
  const [growth, many] = [growthTable(results), manyTable(results)];
  return [
    `${new Date().toISOString().slice(0, 10)}: ${machine}`,
    markdown(mainTable(results)),
    ...(loop === undefined ? [] : ['### Without an engine', markdown(loop)]),
    ...(noop === undefined ? [] : ['### The engine alone', markdown(noop)]),
    ...(growth === undefined ? [] : ['### Growth', markdown(growth)]),
    ...(many === undefined ? [] : ['### Many runs', markdown(many)]),
    '### Processor time',
    markdown(cpuTable(results)),
  ];
}

function markdown({ header, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
