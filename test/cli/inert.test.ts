import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { calledAs } from '../../packages/keystride/src/operator/called-as.ts';
import { plain } from '../../packages/keystride/src/operator/format.ts';
import { jsonText } from '../../packages/keystride/src/operator/format.ts';
import { harmless } from '../../packages/keystride/src/cli/output.ts';
import { codeSpan, inMarkdown } from '../../packages/keystride/src/contract/inert.ts';
import { parameterToText, parametersFromText } from '../../packages/keystride/src/contract/parameters.ts';
import { shellWord } from '../../packages/keystride/src/contract/shell.ts';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';

/** What a terminal obeys, but for the end of a line. */
const obeyed = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ...'\n\r\t\u001b\u0007\u007f\u0085\u009b\u202a\u202e\u2066\u2069\u200f\u2028[31m`*_<>|!'.split(''),
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

test('no control character of any text reaches the terminal, in lines or in JSON', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      expect(harmless(text, false)).not.toMatch(obeyed);
      expect(plain(text)).not.toMatch(/\n/u);
      const json = jsonText({ [text]: [text] });
      expect(json).not.toMatch(/\n/u);
      expect(json).not.toMatch(obeyed);
      expect(JSON.parse(json)).toEqual({ [text]: [text] });
      for (const shown of [shellWord(text), inMarkdown(text), codeSpan(text)]) {
        expect(shown).not.toMatch(/\n/u);
        expect(shown).not.toMatch(obeyed);
      }
    }),
  );
});

test('bash reads every word as it was', () => {
  const words = fc.sample(hostile, 200).map((text) => text.replaceAll('\0', '').toWellFormed());
  words.push('-5', '', "it's", '!!', '$HOME', 'a b', '"', '\\', "\\'\u001b");
  const read = execFileSync('bash', ['--norc', '-c', `printf '%s\\0' ${words.map(shellWord).join(' ')}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  expect(read.split('\0').slice(0, -1)).toEqual(words);
});

test('Markdown shows a text letter by letter', () => {
  expect(inMarkdown('**a** [b](c) <img> `d` | #1 ~~e~~ https://x.y www.z')).toBe(
    String.raw`\*\*a\*\* \[b\]\(c\) \<img\> \`d\` \| \#1 \~\~e\~\~ https\://x.y www\.z`,
  );
  expect(codeSpan('a `` b`')).toBe('``` a `` b` ```');
});

test('a list comes back from --param as it was, commas and all', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (columns) => {
      const word = `columns=${parameterToText(columns)}`;
      expect(parametersFromText(tableSync, [word])).toEqual({ columns });
    }),
  );
  expect(parametersFromText(tableSync, ['columns=a,b'])).toEqual({ columns: ['a', 'b'] });
});

test('a command is called again as it was called', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-called-'));
  try {
    const file = path.join(directory, 'cli.ts');
    writeFileSync(file, '');
    const installed = path.join(directory, 'keystride');
    symlinkSync(file, installed);
    const env = { PATH: directory };
    expect(calledAs({ env, program: installed, directory: '/' })).toBe('keystride');
    expect(calledAs({ env: { PATH: '/bin' }, program: file, directory })).toBe('node cli.ts');
    expect(calledAs({ env: { PATH: '/bin' }, program: file, directory: '/nowhere' })).toBe(`node ${file}`);
    const ofProject = '/x/node_modules/.bin/keystride';
    expect(calledAs({ env: { PATH: '/bin' }, program: ofProject, directory: '/x' })).toBe('npx keystride');
    const throughNpm = { PATH: '/bin', npm_lifecycle_event: 'npx' };
    expect(calledAs({ env: throughNpm, program: file, directory })).toBe('npx keystride');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
