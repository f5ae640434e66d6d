import { ScaffoldError } from './files.ts';

/** Lines are as long as prettier makes them in a project that we have written. */
const width = 110;

/** Adds an import below the last one of a module. */
export function withImport(text: string, line: string): string {
  const ends = [...text.matchAll(/^(?:import|\}) .*from ['"].*['"];?$/gmu)];
  const last = ends.at(-1);
  const at = last === undefined ? 0 : last.index + last[0].length + 1;
  return `${text.slice(0, at)}${line}\n${text.slice(at)}`;
}

/**
 * Adds an element to the end of the array in which the pattern is found, formatted as prettier does it.
 * @param known matches the opening bracket at its end, or something inside of the array
 * @throws ScaffoldError where there is none
 */
export function withElement(file: string, text: string, known: RegExp, element: string): string {
  const found = known.exec(text);
  const start = found ? text.lastIndexOf('[', found.index + found[0].length - 1) : -1;
  const end = start < 0 ? -1 : closingBracket(text, start);
  if (end < 0) throw new ScaffoldError(`${file} has no list to add the job to`, `Add it by hand: ${element}`);
  const elements = [...elementsOf(text.slice(start + 1, end)), element];
  const lineStart = text.lastIndexOf('\n', start) + 1;
  const lineEnd = text.indexOf('\n', end);
  const line = flatOrBroken(text.slice(lineStart, start), elements, text.slice(end + 1, lineEnd));
  return text.slice(0, lineStart) + line + text.slice(lineEnd);
}

/** How an array, an object or the type of one is written. */
const marks = {
  array: { open: '[', close: ']', space: '', separator: ',' },
  object: { open: '{', close: '}', space: ' ', separator: ',' },
  type: { open: '{', close: '}', space: ' ', separator: ';' },
};

/** An array or the like between what stands before and behind it on its line: on that line, or an element a line. */
export function flatOrBroken(
  before: string,
  elements: readonly string[],
  behind: string,
  kind: keyof typeof marks = 'array',
): string {
  const { open, close, space, separator } = marks[kind];
  const flat = `${before}${open}${space}${elements.join(`${separator} `)}${space}${close}${behind}`;
  if (flat.length <= width) return flat;
  const indent = /^ */u.exec(before)?.[0] ?? '';
  const lines = elements.map((each) => `${indent}  ${each}${separator}\n`);
  return `${before}${open}\n${lines.join('')}${indent}${close}${behind}`;
}

function closingBracket(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if ('[({'.includes(text.charAt(at))) depth++;
    else if ('])}'.includes(text.charAt(at)) && --depth === 0) return at;
  }
  return -1;
}

/** The elements of an array, without the comma behind the last one. */
function elementsOf(inside: string): string[] {
  const elements: string[] = [];
  let depth = 0;
  let element = '';
  for (const character of inside) {
    if ('[({'.includes(character)) depth++;
    if ('])}'.includes(character)) depth--;
    if (character === ',' && depth === 0) {
      elements.push(element);
      element = '';
    } else element += character;
  }
  return [...elements, element].map((each) => each.trim()).filter((each) => each !== '');
}
