import pc from 'picocolors';
import type { CommandErrorParts } from '../operator/command-error.ts';
import { jsonText } from '../operator/format.ts';

/** Writes one JSON value as one line on stdout: the last line of every command that was given `-o json`. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonText(value)}\n`);
}

/** The colours of ours, as they reach the terminal. */
const colour = new RegExp(String.raw`(\u001b\[\d{1,2}m)`, 'u');

/** A text for the terminal: of all that a terminal obeys, ends of lines and colours of ours are left. */
export function harmless(text: string, colours = pc.isColorSupported): string {
  return text
    .split(colour)
    .map((part, index) => {
      if (index % 2 === 1) return colours ? part : '';
      return part.toWellFormed().replaceAll(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
    })
    .join('');
}

/** Writes one line of a result to stdout. */
export function printLine(text = ''): void {
  process.stdout.write(`${harmless(text)}\n`);
}

/** Writes one line of progress to stderr, where it disturbs no JSON. */
export function progressLine(text: string): void {
  process.stderr.write(`${harmless(text)}\n`);
}

/** Explains a problem on stderr: what, where, what to do. */
export function printProblem({ what, where, todo }: CommandErrorParts): void {
  progressLine(pc.red(what));
  if (where !== undefined) progressLine(`  where: ${where}`);
  progressLine(`  to do: ${todo.replaceAll('\n', '\n         ')}`);
}
