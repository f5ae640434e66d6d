import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { packageRoot } from '../dev/own-files.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes, printJson, printLine } from './output.ts';
import { keystride } from './called-as.ts';

const help = `
Writes a contract, a flow, the work of one step and a test, all working, and enters the job into the three indexes. What
it starts from is evenNumbers: a reader, a processor that filters, a writer. Change them into your own.

Examples:
  $ keystride new job invoiceReminder`;

/** The job that a new one is a copy of: it is run and tested as all jobs are, so what is copied works. */
const pattern = 'evenNumbers';

const files = (kebab: string) => [
  `src/contract/${kebab}.ts`,
  `src/workflows/${kebab}.ts`,
  `src/activities/${kebab}.ts`,
  `test/jobs/${kebab}.test.ts`,
];

const indexes = ['src/contract/index.ts', 'src/workflows/index.ts', 'src/activities/index.ts'];

/** `keystride new job`: the files of a job, to be filled in. */
export function newCommand(command: Command): Command {
  command
    .command('job')
    .description('a job: its contract, flow, work and test')
    .argument('<name>', 'in camelCase, such as invoiceReminder')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(newJob);
  return command;
}

async function newJob(name: string, options: OutputOptions): Promise<void> {
  const written = await writeJob(packageRoot, name);
  if (options.output === 'json') return printJson({ job: name, files: written });
  for (const file of written) printLine(`wrote ${file}`);
  printLine(`  next  npx vitest run --project fast test/jobs/${kebabOf(name)}.test.ts`);
  printLine(
    `        ${keystride} dev stop; ${keystride} dev --detach    (workers that run already do not know it)`,
  );
  printLine(`        ${keystride} start ${name} --watch`);
}

/**
 * Writes a job into a checkout.
 *
 * @returns the files that were written or changed, relative to the checkout
 * @throws CommandError for a name that is no job's or is taken, and outside of a checkout; nothing is written then
 */
export async function writeJob(root: string, name: string): Promise<string[]> {
  if (!/^[a-z][a-zA-Z0-9]*$/.test(name))
    throw refused(`${name} is no name for a job`, 'Give it in camelCase: invoiceReminder.');
  const kebab = kebabOf(name);
  const renamed = renaming(name);
  const copies = await Promise.all(
    files(kebabOf(pattern)).map(async (file, index) => ({
      file: files(kebab)[index] ?? '',
      text: renamed(await sourceOf(root, file)),
    })),
  );
  const entries = await Promise.all(
    indexes.map(async (file) => ({ file, text: withEntry(await sourceOf(root, file), renamed) })),
  );
  const workflows = entries[1]?.text ?? '';
  if (workflows.split(`{ ${name} }`).length > 2)
    throw refused(`there is a workflow ${name} already`, 'Choose another name.');
  for (const { file } of copies) {
    if (await exists(path.join(root, file)))
      throw refused(`${file} is there already`, 'Choose another name.');
  }
  const all = [...copies, ...entries];
  await Promise.all(all.map(({ file, text }) => writeFile(path.join(root, file), text)));
  return all.map(({ file }) => file);
}

export function kebabOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function renaming(name: string): (text: string) => string {
  return (text) => text.replaceAll(pattern, name).replaceAll(kebabOf(pattern), kebabOf(name));
}

/** Each line of an index that names the pattern once more, with the new name. */
function withEntry(text: string, renamed: (line: string) => string): string {
  return text
    .split('\n')
    .flatMap((line) => (renamed(line) === line ? [line] : [line, renamed(line)]))
    .join('\n');
}

async function sourceOf(root: string, file: string): Promise<string> {
  try {
    return await readFile(path.join(root, file), 'utf8');
  } catch (error) {
    throw new CommandError(
      {
        what: `${file} cannot be read`,
        todo: 'Run this in a checkout of keystride; a build has no sources.',
      },
      { cause: error, exitCode: exitCodes.usage, type: 'NewJob' },
    );
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function refused(what: string, todo: string): CommandError {
  return new CommandError({ what, todo }, { exitCode: exitCodes.usage, type: 'NewJob' });
}
