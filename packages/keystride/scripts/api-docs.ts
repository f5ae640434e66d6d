import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Manifest } from './manifest.ts';

/**
 * Compares `docs/api.md` with the doc blocks of what the entries export, as `api.ts` has gathered them. With `--update` it
 * writes the page instead. An exported function, class or value without a doc block is refused either way.
 */
const root = path.join(import.meta.dirname, '..');
/** Characters of a signature that help; an editor shows the rest. */
const longest = 110;
const page = path.join(root, '../../docs/api.md');
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;

/** What API Extractor writes of something that is exported: the part that is read here. */
interface ApiItem {
  readonly kind: string;
  readonly name: string;
  readonly docComment?: string;
  readonly excerptTokens?: readonly { readonly text: string }[];
  readonly members?: readonly ApiItem[];
}

const entries = Object.entries(exports).filter(([, file]) => file.endsWith('.ts'));
const sections = entries.map(([entry, source]) => sectionOf(entry, source));
const contents = `${[
  '# The API',
  'What each entry exports, from its doc blocks. `npm run api` writes this page. An editor shows the whole of each block; `packages/keystride/api` has every declaration. [Writing a job](writing-a-job.md) tells how it is used.',
  ...sections,
].join('\n\n')}\n`;

const undocumented = sections.flatMap((section) => section.match(/^- `.*`: $/gmu) ?? []);
if (undocumented.length > 0) {
  console.error(
    `These are exported without a doc block that says what they promise:\n${undocumented.join('\n')}`,
  );
  process.exitCode = 1;
} else if (process.argv.includes('--update')) writeFileSync(page, contents);
else if (readFileSync(page, 'utf8') !== contents) {
  console.error(
    'docs/api.md is not what the doc blocks say: npm run api, and commit the page with the change.',
  );
  process.exitCode = 1;
}

function sectionOf(entry: string, source: string): string {
  const name = entry === '.' ? 'index' : entry.slice('./'.length).replaceAll('/', '-');
  const model = JSON.parse(readFileSync(path.join(root, `dist/.api/${name}.api.json`), 'utf8')) as ApiItem;
  const items = model.members?.[0]?.members ?? [];
  const [types, values] = [items.filter(isType), items.filter((item) => !isType(item))];
  return [
    `## \`${path.posix.join('keystride', entry)}\``,
    aboutOf(source),
    values.map(lineOf).join('\n'),
    types.length === 0
      ? ''
      : `Types: ${types.map(({ name: type }) => `\`${type.replace(/_\d+$/u, '')}\``).join(', ')}.`,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function isType({ kind }: ApiItem): boolean {
  return kind === 'Interface' || kind === 'TypeAlias';
}

/** What an entry is for: the block that its source begins with. */
function aboutOf(source: string): string {
  const [, block = ''] = /^\/\*\*(.*?)\*\//su.exec(readFileSync(path.join(root, source), 'utf8')) ?? [];
  return firstParagraph(block);
}

/** A line of the list: what is called how, and what it promises. */
function lineOf(item: ApiItem): string {
  return `- \`${signatureOf(item)}\`: ${firstParagraph(item.docComment ?? '')}`;
}

/** How it is called, on one line. Of a value only the name: its type helps only where it is short. */
function signatureOf({ kind, name, excerptTokens = [] }: ApiItem): string {
  if (kind === 'Variable') return name;
  const declared = excerptTokens.map(({ text }) => text).join('');
  const whole = declared
    .replace(/^export (?:default |declare )*(?:function )?/u, '')
    .replaceAll(/\s+/gu, ' ')
    .replace(/[ ;]+$/u, '');
  const short = whole.length > longest ? withoutTypeParameters(whole) : whole;
  return short.length > longest ? `${short.slice(0, longest - 1).trimEnd()}…` : short;
}

/** `chunks<Item, Output>(…)` as `chunks(…)`. */
function withoutTypeParameters(signature: string): string {
  const begin = /^\w+(?=<)/u.exec(signature)?.[0].length;
  if (begin === undefined) return signature;
  let depth = 0;
  for (let end = begin; end < signature.length; end++) {
    if (signature[end] === '<') depth++;
    else if (signature[end] === '>' && signature[end - 1] !== '=' && --depth === 0)
      return `${signature.slice(0, begin)}${signature.slice(end + 1)}`;
  }
  return signature;
}

/** The first paragraph of a doc block, on one line. */
function firstParagraph(block: string): string {
  const lines = block.split('\n').map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\* ?)/u, '').trim());
  const [paragraph = ''] = lines
    .join('\n')
    .trim()
    .split(/\n\n|\n(?=@|```)/u);
  return paragraph.startsWith('@') ? '' : paragraph.replaceAll('\n', ' ').trim();
}
