import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../dev/own-files.ts';
import { ToldError } from '../contract/errors.ts';

/** A file to be written, relative to the root of a project. */
export interface WrittenFile {
  readonly file: string;
  readonly text: string;
  /** The file is there already, and this is its text with something added. */
  readonly changed?: true;
}

/** What cannot be written: why, where, and what to do. Nothing has been written then. */
export class ScaffoldError extends ToldError {
  override readonly name = 'ScaffoldError';
  readonly what: string;
  readonly todo: string;

  constructor(what: string, todo: string, options?: ErrorOptions) {
    super(`${what}. ${todo}`, options);
    this.what = what;
    this.todo = todo;
  }
}

/** The directory of what new projects and jobs are copied from. */
export const templates = path.join(packageRoot, 'templates');

/** A file of a template. */
export function templateText(file: string): string {
  return readFileSync(path.join(templates, file), 'utf8');
}

/**
 * Writes all of them, or none.
 * @throws ScaffoldError naming each new file that is there already
 */
export function writeFiles(root: string, files: readonly WrittenFile[], todo: string): void {
  const there = files.filter(({ file, changed }) => !changed && existsSync(path.join(root, file)));
  if (there.length > 0) {
    const names = there.map(({ file }) => file).join(', ');
    throw new ScaffoldError(`${names} ${there.length > 1 ? 'are' : 'is'} there already`, todo);
  }
  for (const { file, text } of files) {
    const target = path.join(root, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}

/** `invoiceReminder` as `invoice-reminder`, or with another mark between its words. */
export function kebabOf(name: string, mark = '-'): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `${mark}${letter.toLowerCase()}`);
}
