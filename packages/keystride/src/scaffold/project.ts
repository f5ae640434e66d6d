import { globSync } from 'node:fs';
import path from 'node:path';
import { ScaffoldError, templates, templateText, type WrittenFile, writeFiles } from './files.ts';

/** The name of the template, in all places where a project's own name belongs. */
const templateName = 'keystride-project';

/** Names that npm packs otherwise, or obeys. */
const renamed: Readonly<Record<string, string>> = {
  gitignore: '.gitignore',
  'prettierrc.json': '.prettierrc.json',
};

/**
 * Writes a new project into a directory, which is made when it is not there.
 *
 * @returns its name, and the files that were written
 * @throws ScaffoldError for a directory whose name is no name of a package, or that has one of the files; nothing is
 *   written then
 */
export function writeProject(directory: string): {
  readonly name: string;
  readonly files: readonly string[];
} {
  const root = path.resolve(directory);
  const name = path.basename(root);
  if (!/^[a-z0-9][a-z0-9._-]{0,100}$/.test(name))
    throw new ScaffoldError(
      `${name || root} is no name for a project`,
      'Choose a directory whose name has small letters, digits, dots, dashes and underscores: npx keystride init shop',
    );
  const from = path.join(templates, 'project');
  const files = globSync('**/*', { cwd: from, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(from, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.split(path.sep).includes('node_modules'))
    .toSorted()
    .map((file): WrittenFile => ({
      file: renamed[file] ?? file,
      text: templateText(path.join('project', file)).replaceAll(templateName, name),
    }));
  writeFiles(root, files, 'Choose an empty directory, or move them away.');
  return { name, files: files.map(({ file }) => file) };
}
