import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type Page, readPages } from './support/docs.ts';

/** Links within the repository lead to a file, and to a heading of it. */
const root = path.join(import.meta.dirname, '..');

const withoutBlocks = (text: string): string => text.replaceAll(/^```.*?^```$/gmsu, '');

/** What GitHub makes of a heading: lower case, blanks as dashes, without punctuation. */
function anchorsOf(text: string): string[] {
  return Array.from(withoutBlocks(text).matchAll(/^#+ (.*)$/gmu), ([, heading = '']) =>
    heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function brokenLinksOf({ file, text }: Page): string[] {
  const links = Array.from(withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/gu), ([, link = '']) => link);
  return links
    .filter((link) => !link.startsWith('http') && !leadsSomewhere(file, link))
    .map((link) => `${file}: ${link}`);
}

function leadsSomewhere(file: string, link: string): boolean {
  const [place = '', heading] = link.split('#');
  const target = path.join(root, place === '' ? file : path.join(path.dirname(file), place));
  if (!existsSync(target)) return false;
  return heading === undefined || anchorsOf(readFileSync(target, 'utf8')).includes(heading);
}

test('every link of the pages leads to a file, and to a heading of it', () => {
  expect(readPages().flatMap(brokenLinksOf)).toEqual([]);
});
