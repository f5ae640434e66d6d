import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { keystrideProblem } from './support/keystride-problem.ts';

/** What errors, hints and pages of the console tell their reader to type exists: commands, their options, arguments. */
const library = path.join(import.meta.dirname, '../packages/keystride/src');

/** What stands for a value: an id, a name or a number. */
const value = '1';

/** The text that follows, up to the end of the literal it is in, with something for each value; both where it chooses. */
function literalFrom(source: string, start: number): string[] {
  let texts = [''];
  for (let at = start; at < source.length && source[at] !== '`'; at++) {
    if (source.startsWith('${', at)) {
      const end = endOfValue(source, at + 2);
      const chosen = /\? '([^']*)' : '([^']*)'$/u.exec(source.slice(at + 2, end));
      const filled = chosen ? chosen.slice(1) : [value];
      texts = texts.flatMap((text) => filled.map((one) => text + one));
      at = end;
    } else {
      const written = source[at] === '\\' ? source.slice(at, ++at + 1) : source[at];
      texts = texts.map((text) => text + written);
    }
  }
  return texts;
}

function endOfValue(source: string, start: number): number {
  let depth = 1;
  for (let at = start; at < source.length; at++) {
    if (source[at] === '{') depth++;
    if (source[at] === '}' && --depth === 0) return at;
  }
  return source.length;
}

/** A command ends where its line, its code span or its sentence does. */
function wordsOf(text: string): string[] {
  const [line = ''] = text.split(/\\[n`]|\n|<|;|\. | {2,}/u);
  const words = line.replace(/[.,:]$/u, '').match(/"[^"]*"|\S+/gu) ?? [];
  return words.map((word) => word.replaceAll('"', ''));
}

/** The commands that a source names, each with the line that it stands in. */
function commandsIn(source: string): { readonly line: number; readonly words: readonly string[] }[] {
  return Array.from(source.matchAll(/\$\{keystride\} /gu), ({ index, 0: { length } }) => ({
    line: source.slice(0, index).split('\n').length,
    texts: literalFrom(source, index + length),
  }))
    .flatMap(({ line, texts }) => texts.map((text) => ({ line, words: wordsOf(text) })))
    .filter(({ words }) => words[0] !== value);
}

async function problemsOf(file: string, source: string): Promise<string[]> {
  const problems: string[] = [];
  for (const { line, words } of commandsIn(source)) {
    const problem = await keystrideProblem(words, false);
    if (problem !== undefined) problems.push(`${file}:${line}: keystride ${words.join(' ')}: ${problem}`);
  }
  return problems;
}

test('every command that a message names exists, with its options', async () => {
  const sources = globSync('**/*.ts', { cwd: library }).map(
    (file) => [file, readFileSync(path.join(library, file), 'utf8')] as const,
  );
  expect(sources.flatMap(([, source]) => commandsIn(source)).length).toBeGreaterThan(90);
  const problems = await Promise.all(sources.map(([file, source]) => problemsOf(file, source)));
  expect(problems.flat()).toEqual([]);
});

test('a wrong command is found in each kind of message', async () => {
  const source = [
    '`See: ${keystride} skips ${shellWord(id)} list. ${keystride} frobnicate`',
    '`Watch it: ${keystride} status ID --wait\\nEnd it: ${keystride} stop ${id} --reason "…"`',
    "`${keystride} schedule ${paused ? 'unpause' : 'hold'} ${ids.map((one) => { return one; })}`",
  ].join('\n');
  expect(await problemsOf('a.ts', source)).toEqual([
    'a.ts:1: keystride frobnicate: there is no such command',
    "a.ts:2: keystride status ID --wait: error: unknown option '--wait'",
    "a.ts:3: keystride schedule hold 1: error: too many arguments for 'schedule'. Expected 0 arguments but got 2: hold, 1.",
  ]);
});
