import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { keystrideProblem } from './support/keystride-problem.ts';
import { blocksOf, type CommandLine, commandLinesOf, type Page, readPages } from './support/docs.ts';

/**
 * What the pages tell a reader to type exists: commands, their options and arguments, scripts of npm and programs. The
 * guides and the tutorial are run as well, see `guides.test.ts` and `package/first-job.test.ts`.
 */
const root = path.join(import.meta.dirname, '..');
/** A page may be about this repository, or about one that `keystride init` has written. */
const projects = [root, path.join(root, 'packages/keystride/templates/project')];

/** What is wrong with the command lines of a page, each with its place. */
async function problemsOf(page: Page): Promise<string[]> {
  const problems: string[] = [];
  for (const line of commandLinesOf(page.text)) {
    const problem = await problemOf(page, line);
    if (problem !== undefined)
      problems.push(`${page.file}:${line.line}: ${line.words.join(' ')}: ${problem}`);
  }
  return problems;
}

function problemOf(
  page: Page,
  { words, whole }: CommandLine,
): Promise<string | undefined> | string | undefined {
  const [program = '', ...rest] = words;
  if (program === 'keystride') return keystrideProblem(rest, whole);
  if (program === 'npm' && rest[0] === 'run' && rest.length > 1) return scriptProblem(rest, whole);
  if (program === 'node' && !rest[0]?.startsWith('-')) return programProblem(page, rest[0] ?? '');
  return undefined;
}

function scriptProblem([, name = '', dashes, ...words]: readonly string[], whole: boolean) {
  const scripts = projects
    .map((project) => scriptsOf(project)[name])
    .filter((script) => script !== undefined);
  if (scripts.length === 0) return 'package.json has no such script';
  const ours = scripts.find((script) => script === `keystride ${name}`);
  return ours !== undefined && dashes === '--' ? keystrideProblem([name, ...words], whole) : undefined;
}

function scriptsOf(project: string): Readonly<Record<string, string>> {
  const manifest = readFileSync(path.join(project, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { scripts: Record<string, string> }).scripts;
}

function programProblem(page: Page, file: string): string | undefined {
  const written = blocksOf(page.text).some((block) => block.file === file);
  return written || projects.some((project) => existsSync(path.join(project, file)))
    ? undefined
    : 'there is no such file';
}

test('every command that the pages name exists, with its options', async () => {
  const problems = await Promise.all(readPages().map(problemsOf));
  expect(problems.flat()).toEqual([]);
});

test('a wrong command is found in a block and in a sentence', async () => {
  const text = [
    '```sh',
    '$ FOO=1 npx keystride start evenNumbers --param a=1 --wait   # exits with 3',
    'npm run nothing && keystride frobnicate',
    '```',
    'See `keystride tune ID --chunks N`, `keystride start` and `node bench/nothing.ts`.',
  ].join('\n');
  expect(await problemsOf({ file: 'page.md', text })).toEqual([
    "page.md:2: keystride start evenNumbers --param a=1 --wait: error: unknown option '--wait'",
    'page.md:3: npm run nothing: package.json has no such script',
    'page.md:3: keystride frobnicate: there is no such command',
    "page.md:5: keystride tune ID --chunks 1: error: unknown option '--chunks'",
    'page.md:5: node bench/nothing.ts: there is no such file',
  ]);
});
