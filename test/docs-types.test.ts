import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asProject, complaintsOf } from './support/compile.ts';
import { type Block, blocksOf, type Page, readPages } from './support/docs.ts';

/**
 * What the pages show in TypeScript compiles. A block that names its file (```` ```ts src/contract/a-job.ts ````) is that
 * file of a project as `keystride init` writes it, one project a page; the others are files of their own in `src/examples`.
 * What a block needs and a reader does not stands in a comment before it, `<!-- with … -->`.
 */
const root = path.join(import.meta.dirname, '..');
const template = path.join(root, 'packages/keystride/templates/project');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'keystride-docs-'));
  asProject(directory, ['pages']);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What the compiler says of the pages: places as `docs/readers.md:12`, or nothing. */
async function problemsOf(pages: readonly Page[]): Promise<string[]> {
  rmSync(path.join(directory, 'pages'), { recursive: true, force: true });
  const places = new Map<string, string>();
  for (const [index, page] of pages.entries()) {
    const project = path.join('pages', String(index));
    cpSync(path.join(template, 'src'), path.join(directory, project, 'src'), { recursive: true });
    for (const block of blocksOf(page.text)) {
      if (block.language !== 'ts') continue;
      const file = path.join(project, block.file ?? `src/examples/line-${block.line}.ts`);
      mkdirSync(path.dirname(path.join(directory, file)), { recursive: true });
      writeFileSync(path.join(directory, file), sourceOf(block));
      places.set(file, page.file);
    }
  }
  const complaints = await complaintsOf(directory);
  return complaints.map((line) =>
    line.replace(/^(\S+?)\((\d+),\d+\)/u, (whole, file: string, number: string) =>
      places.has(file) ? `${places.get(file)}:${number}` : whole,
    ),
  );
}

/** The block with its lines where they stand in the page, so that the compiler names them. */
function sourceOf({ text, line, preamble }: Block): string {
  const before = preamble.replaceAll('\n', ' ');
  return `${before}${'\n'.repeat(line - 1)}${text}export {};\n`;
}

/** A page with one block that is wrong, compiled with the others: the compiler runs once. */
const wrongPage: Page = {
  file: 'docs/wrong.md',
  text: [
    '<!-- with',
    "import { chunkStep } from 'keystride';",
    '-->',
    '```ts',
    'export const step = chunkStep({ chunkSize: 5 });',
    'export const wrong = chunkStep({ size: 5 });',
    '```',
  ].join('\n'),
};

test('every TypeScript block of the pages compiles, and one that does not is named by its page and line', async () => {
  expect(await problemsOf([...readPages(), wrongPage])).toEqual([
    expect.stringMatching(/^docs\/wrong\.md:6: error TS2353: .*'size' does not exist/u),
  ]);
});
